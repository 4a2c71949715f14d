//! What is done to all tasks that match: counted, in batches, once, and to no other task.

#![allow(clippy::unwrap_used)]

mod filters;
mod going_on;
#[path = "../support/mod.rs"]
mod support;

use support::{SINGLE, World, fail};
use tasker_shared::bulk::{
    BATCH, BulkAct, BulkAction, BulkFilter, BulkState, continue_bulk_act, count_matching_tasks,
    start_bulk_act,
};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;
use uuid::Uuid;

/// Tasks of more than two batches.
const MANY: usize = 120;

async fn failed(world: &mut World, tasks: usize) -> Vec<TaskUuid> {
    let mut submitted = Vec::new();
    for _ in 0..tasks {
        submitted.push(world.submit("single").await);
    }
    world.claim().await;
    let received = world.receive().await;
    let reports = received.iter().map(fail).collect::<Vec<_>>();
    world.report(&reports).await;
    submitted
}

async fn with_failed(tasks: usize) -> (World, Vec<TaskUuid>) {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let failed = failed(&mut world, tasks).await;
    (world, failed)
}

fn of_test() -> BulkFilter {
    BulkFilter {
        namespace: Some("test".to_owned()),
        ..BulkFilter::default()
    }
}

async fn start(world: &mut World, action: BulkAction, filter: &BulkFilter) -> Uuid {
    start_bulk_act(&mut world.connection, action, filter, "me", Some("why not"))
        .await
        .unwrap()
}

async fn count(world: &mut World, filter: &BulkFilter) -> i64 {
    count_matching_tasks(&mut world.connection, BulkAction::Retry, filter)
        .await
        .unwrap()
}

/// Goes on until it has ended; answers the act, and in how many batches.
async fn carry_out(world: &mut World, bulk: Uuid) -> (BulkAct, usize) {
    for batch in 1.. {
        let act = continue_bulk_act(&mut world.connection, bulk, BATCH)
            .await
            .unwrap();
        let act = act.unwrap();
        if act.state != BulkState::Running {
            return (act, batch);
        }
    }
    unreachable!()
}

async fn in_state(world: &mut World, state: &str) -> i64 {
    world
        .value(format!(
            "select count(*) from tasker.tasks where state = '{state}'"
        ))
        .await
}

#[tokio::test]
async fn all_that_failed_are_retried_in_batches_and_nothing_else() {
    let (mut world, _) = with_failed(MANY).await;
    world.submit("single").await;
    world.run_all().await;
    assert_eq!(count(&mut world, &of_test()).await, 120);

    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    assert_eq!(
        in_state(&mut world, "error").await,
        120,
        "nothing is done yet"
    );
    // One that is submitted in the same millisecond may be among them.
    let is_over = "select clock_timestamp() > created_at + interval '1 ms' from tasker.bulk_acts";
    while !world.value::<bool>(is_over).await {}
    let later = failed(&mut world, 1).await[0];
    let (act, batches) = carry_out(&mut world, bulk).await;

    assert_eq!(batches, 3);
    assert_eq!((act.done, act.refused, act.held), (120, 0, 0));
    assert_eq!((act.state, &*act.actor), (BulkState::Finished, "me"));
    assert_eq!(world.task_state(later).await, TaskState::Error);
    let told: i64 = world
        .value(format!(
            "select count(*) from tasker.task_transitions
             where to_state = 'in_progress' and from_state = 'error' and actor = 'me'
               and reason = 'bulk {bulk}: why not'"
        ))
        .await;
    assert_eq!(told, 120);
    assert_eq!(world.run_all().await.len(), 120);
    assert_eq!(in_state(&mut world, "complete").await, 121);
    world.assert_healthy().await;
}

#[tokio::test]
async fn tasks_that_wait_are_cancelled_with_their_messages() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for _ in 0..MANY {
        world.submit("single").await;
    }
    world.claim().await;
    let filter = BulkFilter {
        state: Some(TaskState::InProgress),
        ..of_test()
    };
    let bulk = start(&mut world, BulkAction::Cancel, &filter).await;
    assert_eq!(carry_out(&mut world, bulk).await.0.done, 120);

    let left: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!((left, in_state(&mut world, "cancelled").await), (0, 120));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_that_another_transaction_holds_is_left_as_it_is_and_holds_up_nothing() {
    let (mut world, tasks) = with_failed(3).await;
    let mut holder = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
        .bind(tasks[1])
        .execute(&mut *holder)
        .await
        .unwrap();
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let (act, _) = carry_out(&mut world, bulk).await;
    holder.rollback().await.unwrap();

    assert_eq!((act.done, act.held), (2, 1));
    let problem = format!("another transaction holds task {}", tasks[1]);
    assert_eq!(act.problem, Some(problem));
    assert_eq!(world.task_state(tasks[1]).await, TaskState::Error);
}

#[tokio::test]
async fn a_task_that_can_no_longer_take_it_is_counted_and_stays() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let runs = world.submit("single").await;
    world.start_one().await;
    let filter = BulkFilter {
        state: Some(TaskState::InProgress),
        ..of_test()
    };
    let bulk = start(&mut world, BulkAction::Retry, &filter).await;
    let (act, _) = carry_out(&mut world, bulk).await;

    assert_eq!((act.done, act.refused), (0, 1));
    assert!(act.problem.unwrap().contains("has no failed step to retry"));
    assert_eq!(world.task_state(runs).await, TaskState::InProgress);
}

#[tokio::test]
async fn a_step_that_another_transaction_holds_is_not_waited_for() {
    let (mut world, tasks) = with_failed(3).await;
    let mut holder = world.begin().await;
    sqlx::query("select from tasker.steps where task_uuid = $1 for update")
        .bind(tasks[1])
        .execute(&mut *holder)
        .await
        .unwrap();
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let ended = timeout(WAIT_TIMEOUT, carry_out(&mut world, bulk)).await;
    holder.rollback().await.unwrap();

    let (act, _) = ended.unwrap();
    assert_eq!((act.done, act.held), (2, 1));
    assert!(act.problem.unwrap().contains("lock timeout"));
}

#[tokio::test]
async fn what_is_wrong_with_one_task_does_not_stop_the_others() {
    let (mut world, tasks) = with_failed(3).await;
    world
        .run(format!(
            "create function refuse() returns trigger language plpgsql as
               'begin raise exception ''it is cursed''; end';
             create trigger refuses before update on tasker.tasks for each row
               when (old.task_uuid = '{}') execute function refuse()",
            tasks[1]
        ))
        .await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let (act, _) = carry_out(&mut world, bulk).await;

    assert_eq!((act.done, act.held), (2, 1));
    let problem = format!("task {}: it is cursed", tasks[1]);
    assert_eq!(act.problem, Some(problem));
}

#[tokio::test]
async fn tasks_that_were_left_as_they_are_are_not_met_again() {
    let (mut world, mut tasks) = with_failed(4).await;
    tasks.sort();
    let mut holder = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
        .bind(tasks[2])
        .execute(&mut *holder)
        .await
        .unwrap();
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let mut last = None;
    for _ in 0..3 {
        last = continue_bulk_act(&mut world.connection, bulk, 2)
            .await
            .unwrap();
    }
    holder.rollback().await.unwrap();

    let act = last.unwrap();
    assert_eq!((act.state, act.done, act.held), (BulkState::Finished, 3, 1));
    assert!(act.problem.unwrap().contains("holds task"));
}

#[tokio::test]
async fn tasks_of_a_batch_are_locked_in_the_order_of_all_calls() {
    let (mut world, mut tasks) = with_failed(5).await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    carry_out(&mut world, bulk).await;

    let order: Vec<Uuid> = world
        .value(
            "select array_agg(task_uuid order by transition_no) from tasker.task_transitions
             where to_state = 'resolved_manually'",
        )
        .await;
    tasks.sort();
    let sorted: Vec<Uuid> = tasks.iter().map(|task| task.0).collect();
    assert_eq!(order, sorted);
}

#[tokio::test]
async fn of_several_failed_steps_the_one_that_the_filter_names_is_retried() {
    let mut world = World::new().await;
    world.template("pair", &[("a", &[]), ("b", &[])]).await;
    let task = world.submit("pair").await;
    world.claim().await;
    let reports: Vec<_> = world.receive().await.iter().map(fail).collect();
    world.report(&reports).await;
    let filter = BulkFilter {
        step: Some("b".to_owned()),
        ..of_test()
    };
    let bulk = start(&mut world, BulkAction::Retry, &filter).await;
    assert_eq!(carry_out(&mut world, bulk).await.0.done, 1);

    assert_eq!(world.step_state(task, "a").await, StepState::Error);
    assert_eq!(world.step_state(task, "b").await, StepState::Pending);
}
