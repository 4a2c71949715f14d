//! Lists of tasks, restricted and page by page.

use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, TaskFilter, TaskSummary};

use crate::support::{SINGLE, World, fail, new_task};
use crate::with_tasks_of_every_sort;

#[tokio::test]
async fn pages_show_every_task_once_the_latest_first() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let submitted = tasks::submit_tasks(&mut world.connection, &vec![new_task("t"); 25])
        .await
        .unwrap();
    let mut expected = submitted
        .iter()
        .map(|submitted| submitted.task_uuid)
        .collect::<Vec<_>>();
    expected.sort_unstable_by(|a, b| b.cmp(a));

    let mut shown = Vec::new();
    let mut pages = 0;
    let mut page = TaskFilter {
        limit: 10,
        ..TaskFilter::default()
    };
    loop {
        let tasks = list(&mut world, &page).await;
        let Some(last) = tasks.last() else { break };
        pages += 1;
        page.before = Some(last.task_uuid);
        shown.extend(tasks.iter().map(|task| task.task_uuid));
        // What is submitted meanwhile does not shift the pages.
        world.submit("t").await;
    }

    assert_eq!(shown, expected);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn lists_are_restricted_by_namespace_name_and_state_in_any_combination() {
    let mut world = World::new().await;
    let all = with_tasks_of_every_sort(&mut world).await;
    let sorts = [
        ("test", "one", TaskState::Complete),
        ("test", "one", TaskState::Error),
        ("test", "two", TaskState::InProgress),
        ("other", "one", TaskState::Cancelled),
        ("test", "two", TaskState::Pending),
    ];
    let states = TaskState::ALL.iter().copied().map(Some);
    let states = states.chain([None]).collect::<Vec<_>>();

    for namespace in [None, Some("test"), Some("other"), Some("absent")] {
        for name in [None, Some("one"), Some("two"), Some("absent")] {
            for state in &states {
                let found = list(
                    &mut world,
                    &TaskFilter {
                        namespace: namespace.map(str::to_owned),
                        name: name.map(str::to_owned),
                        state: *state,
                        ..filter()
                    },
                )
                .await;
                let found = found.iter().map(|task| task.task_uuid);
                let expected = all.iter().zip(sorts).rev().filter(|(_, sort)| {
                    namespace.is_none_or(|namespace| namespace == sort.0)
                        && name.is_none_or(|name| name == sort.1)
                        && state.is_none_or(|state| state == sort.2)
                });
                assert_eq!(
                    found.collect::<Vec<_>>(),
                    expected.map(|(task, _)| *task).collect::<Vec<_>>(),
                    "{namespace:?} {name:?} {state:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_list_goes_on_after_a_task_whatever_it_is_restricted_by() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let mut failed = Vec::new();
    for _ in 0..4 {
        failed.push(world.submit("t").await);
        let step = world.start_one().await;
        world.report(&[fail(&step)]).await;
    }
    for (name, state) in [
        (None, None),
        (Some("t"), None),
        (None, Some(TaskState::Error)),
        (Some("t"), Some(TaskState::Error)),
    ] {
        let found = list(
            &mut world,
            &TaskFilter {
                name: name.map(str::to_owned),
                state,
                before: Some(failed[2]),
                ..filter()
            },
        )
        .await;
        let found = found.iter().map(|task| task.task_uuid);
        assert_eq!(found.collect::<Vec<_>>(), [failed[1], failed[0]]);
    }
}

fn filter() -> TaskFilter {
    TaskFilter {
        limit: 100,
        ..TaskFilter::default()
    }
}

async fn list(world: &mut World, filter: &TaskFilter) -> Vec<TaskSummary> {
    tasks::list_tasks(&mut world.connection, filter)
        .await
        .unwrap()
}
