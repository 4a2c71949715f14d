//! What is done to all tasks that match: counted, in batches, once, and to no other task.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{SINGLE, World, fail};
use tasker_shared::bulk::{
    BATCH, BulkAct, BulkAction, BulkFilter, BulkState, abandoned_bulk_act, bulk_act,
    carry_out as carry_out_on, continue_bulk_act, count_matching_tasks, list_bulk_acts,
    start_bulk_act, stop_bulk_act,
};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::error::RefusalKind;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tokio_util::sync::CancellationToken;
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
async fn tasks_are_found_by_what_a_filter_says() {
    let (mut world, tasks) = with_failed(3).await;
    world
        .run(format!(
            "update tasker.steps set error = error || '{{\"message\": \"bank is closed\"}}'
             where task_uuid = '{}'",
            tasks[1]
        ))
        .await;
    let filter = BulkFilter {
        step: Some("only".to_owned()),
        error: Some("Bank".to_owned()),
        ..of_test()
    };
    let bulk = start(&mut world, BulkAction::Resolve, &filter).await;
    let (act, _) = carry_out(&mut world, bulk).await;

    assert_eq!((act.done, act.filter.error.as_deref()), (1, Some("Bank")));
    assert_eq!(
        world.task_state(tasks[1]).await,
        TaskState::ResolvedManually
    );
    assert_eq!(in_state(&mut world, "error").await, 2);
    let nothing = BulkFilter {
        name: Some("another".to_owned()),
        ..of_test()
    };
    assert_eq!(count(&mut world, &nothing).await, 0);
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
async fn processes_that_go_on_with_one_act_at_once_do_each_task_once() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let both = [world.db.connect().await, world.db.connect().await];
    let goes_on = async |mut connection: sqlx::PgConnection| loop {
        let act = continue_bulk_act(&mut connection, bulk, BATCH)
            .await
            .unwrap();
        if act.is_some_and(|act| act.state != BulkState::Running) {
            return;
        }
    };
    let [first, second] = both;
    tokio::join!(goes_on(first), goes_on(second));

    let act = bulk_act(&mut world.connection, bulk)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((act.done, act.refused, act.held), (120, 0, 0));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_batch_that_another_process_has_in_hand_is_not_waited_for() {
    let (mut world, _) = with_failed(1).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let mut other = world.begin().await;
    continue_bulk_act(&mut other, bulk, BATCH)
        .await
        .unwrap()
        .unwrap();

    let waits = continue_bulk_act(&mut world.connection, bulk, BATCH)
        .await
        .unwrap();
    assert_eq!(waits, None);
    // It crashed: its batch was not done, and another process does it.
    other.rollback().await.unwrap();
    assert_eq!(carry_out(&mut world, bulk).await.0.done, 1);
}

#[tokio::test]
async fn an_act_that_is_stopped_does_no_more() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    continue_bulk_act(&mut world.connection, bulk, BATCH)
        .await
        .unwrap();
    let stopped = stop_bulk_act(&mut world.connection, bulk).await.unwrap();
    assert_eq!((stopped.state, stopped.done), (BulkState::Stopped, 50));

    assert_eq!(carry_out(&mut world, bulk).await, (stopped.clone(), 1));
    assert_eq!(in_state(&mut world, "error").await, 70);
    let again = stop_bulk_act(&mut world.connection, bulk).await.unwrap();
    assert_eq!(again, stopped);
    let listed = list_bulk_acts(&mut world.connection, 10).await.unwrap();
    assert_eq!(listed, [stopped]);
}

#[tokio::test]
async fn an_act_is_abandoned_when_it_was_not_touched_for_half_a_minute() {
    let (mut world, _) = with_failed(1).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let abandoned = abandoned_bulk_act(&mut world.connection).await.unwrap();
    assert_eq!(abandoned, None);
    world
        .run("update tasker.bulk_acts set touched_at = touched_at - interval '31 s'")
        .await;
    let abandoned = abandoned_bulk_act(&mut world.connection).await.unwrap();
    assert_eq!(abandoned, Some(bulk));
    carry_out(&mut world, bulk).await;
    let abandoned = abandoned_bulk_act(&mut world.connection).await.unwrap();
    assert_eq!(abandoned, None);
}

#[tokio::test]
async fn a_filter_that_is_not_for_the_action_is_refused_before_anything_is_noted() {
    let (mut world, _) = with_failed(1).await;
    let complete = BulkFilter {
        state: Some(TaskState::Complete),
        ..of_test()
    };
    for (action, filter, says) in [
        (
            BulkAction::Cancel,
            of_test(),
            "say which state the tasks are in: cancel",
        ),
        (
            BulkAction::Retry,
            complete.clone(),
            "no task that is complete can take this: retry",
        ),
        (
            BulkAction::Cancel,
            complete,
            "its filter takes the state pending or in_progress or error",
        ),
    ] {
        let refused = start_bulk_act(&mut world.connection, action, &filter, "me", None).await;
        let refusal = refused.unwrap_err().refusal().unwrap().clone();
        assert_eq!(refusal.kind, RefusalKind::InvalidInput);
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    for (filter, says) in [
        (json!({"colour": "red"}), "the filter has no key 'colour'"),
        (json!({"name": 7}), "filter.name is no text"),
        (json!([]), "the filter is no object"),
    ] {
        let refused = sqlx::query("select tasker.start_bulk_act('retry', $1, 'me')")
            .bind(filter)
            .execute(&mut world.connection)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    assert!(
        list_bulk_acts(&mut world.connection, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_unknown_act_cannot_be_gone_on_with_or_stopped() {
    let mut world = World::new().await;
    let unknown = Uuid::now_v7();
    assert_eq!(
        bulk_act(&mut world.connection, unknown).await.unwrap(),
        None
    );
    let goes_on = continue_bulk_act(&mut world.connection, unknown, BATCH).await;
    assert_eq!(
        goes_on.unwrap_err().refusal().unwrap().kind,
        RefusalKind::NotFound
    );
    let stopped = stop_bulk_act(&mut world.connection, unknown).await;
    assert_eq!(
        stopped.unwrap_err().refusal().unwrap().kind,
        RefusalKind::NotFound
    );
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_done_in_smaller_ones() {
    let (mut world, _) = with_failed(20).await;
    world
        .run(
            "create function slow() returns trigger language plpgsql as
               'begin perform pg_sleep(0.1); return new; end';
             create trigger slow before update on tasker.tasks
               for each row execute function slow()",
        )
        .await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let config = DatabaseConfig {
        url: world.db.url().into(),
        call_timeout: Duration::from_secs(1),
        ..TaskerConfig::default().database
    };
    let database = Database::connect(&config).await.unwrap();
    let mut batches = Vec::new();
    let progress = |act: &BulkAct| batches.push(act.done);
    let act = carry_out_on(&database, bulk, &CancellationToken::new(), progress).await;

    assert_eq!(act.unwrap().unwrap().done, 20);
    assert!(batches[0] < 10, "{batches:?}");
}
