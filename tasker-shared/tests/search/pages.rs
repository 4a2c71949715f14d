//! Pages of tasks that meet conditions, both ways, beside every other filter.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, TaskFilter};

use crate::support::{World, fail, new_task};
use crate::{by, find, found, searched_by};

/// So many that the values of all are not looked through first.
const MANY: usize = 10_100;

/// Whether the task of this number meets conditions.
type Meets = fn(usize) -> bool;

/// What restricts a list beside conditions.
type Restrict = fn(&mut TaskFilter);

/// Tasks of which every fourth is green; `n` counts them.
async fn with_many() -> (World, Vec<TaskUuid>) {
    let mut world = searched_by(&["n", "colour", "all"]).await;
    let task = |n: usize| {
        let mut task = new_task("order");
        let colour = if n.is_multiple_of(4) { "green" } else { "red" };
        task.context = json!({"n": n, "colour": colour, "all": ["same", "equal"]});
        task
    };
    let mut uuids = Vec::new();
    for batch in (0..MANY).collect::<Vec<_>>().chunks(1000) {
        let batch: Vec<_> = batch.iter().map(|n| task(*n)).collect();
        let submitted = tasks::submit_tasks(&mut world.connection, &batch)
            .await
            .unwrap();
        uuids.extend(submitted.iter().map(|submitted| submitted.task_uuid));
    }
    (world, uuids)
}

/// Goes page by page to the last and back again, and checks that both ways show the same.
async fn check_pages(world: &mut World, filter: &TaskFilter, expected: &[TaskUuid]) {
    let mut page = filter.clone();
    let mut shown: Vec<TaskUuid> = Vec::new();
    let mut pages: Vec<Vec<TaskUuid>> = Vec::new();
    for _ in 0..4 {
        let tasks = find(world, &page).await.unwrap();
        let Some(last) = tasks.last() else { break };
        page.before = Some(*last);
        shown.extend(&tasks);
        pages.push(tasks);
    }
    let most = expected
        .len()
        .min(4 * usize::try_from(filter.limit).unwrap());
    assert_eq!(shown, expected[..most], "{:?}", filter.conditions);
    for two in pages.windows(2).rev() {
        let mut page = filter.clone();
        page.after = two[1].first().copied();
        assert_eq!(
            find(world, &page).await.unwrap(),
            two[0],
            "{:?}",
            filter.conditions
        );
    }
}

#[tokio::test]
async fn pages_go_both_ways_however_many_tasks_meet_the_conditions() {
    let (mut world, uuids) = with_many().await;
    let cases: [(&[&str], Meets); 9] = [
        (&[], |_| true),
        (&["all=same"], |_| true),
        (&["all^=s"], |_| true),
        (&["all>a"], |_| true),
        (&["n>=0"], |_| true),
        (&["colour=green"], |n| n.is_multiple_of(4)),
        (&["all=equal", "colour=green", "n<500"], |n| {
            n.is_multiple_of(4) && n < 500
        }),
        (&["n>=0", "colour=green"], |n| n.is_multiple_of(4)),
        (&["n=17"], |n| n == 17),
    ];
    for (conditions, meets) in cases {
        let mut expected: Vec<TaskUuid> =
            (0..MANY).filter(|n| meets(*n)).map(|n| uuids[n]).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        for state in [None, Some(TaskState::Pending)] {
            let filter = TaskFilter {
                limit: 30,
                state,
                ..by(conditions)
            };
            check_pages(&mut world, &filter, &expected).await;
            let complete = TaskFilter {
                state: Some(TaskState::Complete),
                ..filter
            };
            assert!(find(&mut world, &complete).await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn tasks_of_a_template_are_paged_backwards_too() {
    let mut world = searched_by(&["v"]).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.submit("order").await);
    }
    all.sort_unstable();
    for name in [None, Some("order".to_owned())] {
        for state in [None, Some(TaskState::Pending)] {
            let filter = TaskFilter {
                name: name.clone(),
                state,
                after: Some(all[0]),
                limit: 2,
                ..TaskFilter::default()
            };
            assert_eq!(find(&mut world, &filter).await.unwrap(), [all[2], all[1]]);
            let between = TaskFilter {
                before: Some(all[2]),
                ..filter
            };
            assert_eq!(find(&mut world, &between).await.unwrap(), [all[1]]);
        }
    }
}

#[tokio::test]
async fn conditions_hold_beside_every_other_filter() {
    let mut world = searched_by(&["v"]).await;
    let keyed = world
        .submit_with("order", |task| {
            task.context = json!({"v": 1});
            task.idempotency_key = Some("k".to_owned());
        })
        .await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    let other = world
        .submit_with("order", |task| task.context = json!({"v": 1}))
        .await;
    assert_eq!(found(&mut world, &["v=1"]).await, [other, keyed]);

    let restrict: [(Restrict, bool); 9] = [
        (|filter| filter.key = Some("k".to_owned()), true),
        (|filter| filter.key = Some("none".to_owned()), false),
        (|filter| filter.step = Some("only".to_owned()), true),
        (|filter| filter.step = Some("none".to_owned()), false),
        (|filter| filter.error = Some("NO".to_owned()), true),
        (|filter| filter.error = Some("yes".to_owned()), false),
        (|filter| filter.state = Some(TaskState::Error), true),
        (|filter| filter.state = Some(TaskState::Cancelled), false),
        (
            |filter| filter.until = Some(chrono::DateTime::UNIX_EPOCH),
            false,
        ),
    ];
    for (at, (restrict, is_found)) in restrict.into_iter().enumerate() {
        for condition in ["v=1", "v>0", "v^=1"] {
            let mut filter = by(&[condition]);
            restrict(&mut filter);
            let expected: &[TaskUuid] = if is_found { &[keyed] } else { &[] };
            assert_eq!(
                find(&mut world, &filter).await.unwrap(),
                expected,
                "{at} {condition}"
            );
        }
    }
    let mut key_of_another = by(&["v=2"]);
    key_of_another.key = Some("k".to_owned());
    assert!(find(&mut world, &key_of_another).await.unwrap().is_empty());
}
