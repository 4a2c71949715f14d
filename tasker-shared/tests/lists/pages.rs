//! Lists of tasks, restricted and page by page.

use chrono::{DateTime, TimeDelta, Utc};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, FailedStep, ListedTask, TaskFilter};

use crate::support::{DIAMOND, SINGLE, World, complete, fail, new_task};
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
        page.before = Some(last.summary.task_uuid);
        shown.extend(tasks.iter().map(|task| task.summary.task_uuid));
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
                let found = found.iter().map(|task| task.summary.task_uuid);
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
        let found = found.iter().map(|task| task.summary.task_uuid);
        assert_eq!(found.collect::<Vec<_>>(), [failed[1], failed[0]]);
    }
}

/// Tasks that are submitted afterwards have another time in their UUIDs.
const UNTIL_NEXT_MILLISECOND: &str = "
    do $$
    declare
      v_next timestamptz := date_trunc('milliseconds', clock_timestamp()) + '1 ms';
    begin
      while clock_timestamp() < v_next loop
      end loop;
    end
    $$";

/// The moment in the UUID of a task.
fn submitted_at(task: TaskUuid) -> DateTime<Utc> {
    let milliseconds = i64::try_from(task.0.as_u128() >> 80).unwrap();
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

/// The tasks that a filter finds.
async fn found(world: &mut World, filter: TaskFilter) -> Vec<TaskUuid> {
    let found = list(world, &filter).await;
    found.iter().map(|task| task.summary.task_uuid).collect()
}

#[tokio::test]
async fn lists_are_restricted_to_a_time() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let task = world.submit("t").await;
        tasks.push(task);
        world.run(UNTIL_NEXT_MILLISECOND).await;
    }
    let (since, until) = (submitted_at(tasks[1]), submitted_at(tasks[2]));
    for (name, state) in [
        (None, None),
        (Some("t".to_owned()), None),
        (None, Some(TaskState::Pending)),
        (Some("t".to_owned()), Some(TaskState::Pending)),
    ] {
        let filter = || TaskFilter {
            name: name.clone(),
            state,
            ..filter()
        };
        let late = TaskFilter {
            since: Some(since),
            ..filter()
        };
        assert_eq!(found(&mut world, late).await, [tasks[2], tasks[1]]);
        let early = TaskFilter {
            until: Some(until),
            ..filter()
        };
        assert_eq!(found(&mut world, early).await, [tasks[1], tasks[0]]);
        let between = TaskFilter {
            since: Some(since),
            until: Some(until),
            before: Some(tasks[2]),
            ..filter()
        };
        assert_eq!(found(&mut world, between).await, [tasks[1]]);
    }
    for at in [DateTime::<Utc>::MAX_UTC, Utc::now() + TimeDelta::days(1)] {
        let never = TaskFilter {
            since: Some(at),
            ..filter()
        };
        assert!(found(&mut world, never).await.is_empty(), "{at}");
    }
}

#[tokio::test]
async fn a_task_is_found_by_its_idempotency_key() {
    let mut world = World::new().await;
    world.template("one", SINGLE).await;
    world.template("two", SINGLE).await;
    let keyed = |task: &mut tasks::NewTask| task.idempotency_key = Some("k".to_owned());
    let one = world.submit_with("one", keyed).await;
    let two = world.submit_with("two", keyed).await;
    world.submit("one").await;

    let by_key = |name: Option<&str>, state| TaskFilter {
        name: name.map(str::to_owned),
        key: Some("k".to_owned()),
        state,
        ..filter()
    };
    assert_eq!(found(&mut world, by_key(None, None)).await, [two, one]);
    assert_eq!(found(&mut world, by_key(Some("one"), None)).await, [one]);
    let complete = by_key(None, Some(TaskState::Complete));
    assert!(found(&mut world, complete).await.is_empty());
    let unknown = TaskFilter {
        key: Some("nobody's".to_owned()),
        ..filter()
    };
    assert!(found(&mut world, unknown).await.is_empty());
}

#[tokio::test]
async fn failed_tasks_show_the_step_and_are_found_by_it_and_by_its_error() {
    let mut world = World::new().await;
    world.template("one", SINGLE).await;
    world.template("many", DIAMOND).await;
    let only = world.submit("one").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    let branches = world.submit("many").await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;
    world.claim().await;
    let received = world.receive().await;
    let failures: Vec<_> = received.iter().map(fail).collect();
    world.report(&failures).await;
    world.submit("one").await;

    let all = list(&mut world, &filter()).await;
    let shown: Vec<_> = all.iter().map(|task| task.failed_step.clone()).collect();
    let failed = |name: &str| {
        Some(FailedStep {
            name: name.to_owned(),
            kind: Some("handler_failed".to_owned()),
            message: Some("no".to_owned()),
        })
    };
    assert_eq!(shown, [None, failed("b"), failed("only")]);

    let by = |step: Option<&str>, error: Option<&str>| TaskFilter {
        step: step.map(str::to_owned),
        error: error.map(str::to_owned),
        ..filter()
    };
    for (step, error, expected) in [
        (Some("only"), None, &[only][..]),
        (Some("c"), None, &[branches]),
        (Some("a"), None, &[]),
        (Some("absent"), None, &[]),
        (None, Some("NO"), &[branches, only]),
        (None, Some("Handler_Failed: no"), &[branches, only]),
        (None, Some("%"), &[]),
        (Some("c"), Some("no"), &[branches]),
        (Some("c"), Some("yes"), &[]),
    ] {
        assert_eq!(
            found(&mut world, by(step, error)).await,
            expected,
            "{step:?} {error:?}"
        );
    }
    let shown = list(&mut world, &by(Some("c"), None)).await;
    assert_eq!(shown[0].failed_step, failed("c"));
    let complete = TaskFilter {
        state: Some(TaskState::Complete),
        ..by(Some("only"), None)
    };
    assert!(found(&mut world, complete).await.is_empty());
}

#[tokio::test]
async fn a_task_is_found_by_the_beginning_or_the_end_of_its_uuid() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let first = world.submit("t").await;
    let second = world.submit("t").await;
    let digits = first.0.simple().to_string();
    for part in [&first.short(), &first.short()[4..], &digits[..24], &digits] {
        let found = tasks::find_tasks(&mut world.connection, part, 10).await;
        assert_eq!(found.unwrap(), [first], "{part}");
    }
    let both = tasks::find_tasks(&mut world.connection, &digits[..6], 10).await;
    assert_eq!(both.unwrap(), [second, first]);
    let latest = tasks::find_tasks(&mut world.connection, &digits[..6], 1).await;
    assert_eq!(latest.unwrap(), [second]);
    let nothing = tasks::find_tasks(&mut world.connection, "ffffffff", 10).await;
    assert!(nothing.unwrap().is_empty());
}

fn filter() -> TaskFilter {
    TaskFilter {
        limit: 100,
        ..TaskFilter::default()
    }
}

async fn list(world: &mut World, filter: &TaskFilter) -> Vec<ListedTask> {
    tasks::list_tasks(&mut world.connection, filter)
        .await
        .unwrap()
}
