//! What becomes of a received step that does not end: its lease runs out, it is given back, or it is
//! reported under the message of another.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{SINGLE, WORKER, World, complete, given_back, retry};
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, ReceivedStep, Reported};

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

/// Gives a step back at once.
async fn release(world: &mut World, step: &ReceivedStep) -> Reported {
    let step = given_back(step);
    let connection = &mut world.connection;
    steps::release_steps(connection, WORKER, &[step])
        .await
        .unwrap()
}

#[tokio::test]
async fn an_outcome_that_is_no_outcome_is_refused_and_changes_nothing() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let step = world.start_one().await;
    for unknown in ["'done'", "''", "'Complete'", "null"] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "select tasker.complete_steps('{WORKER}', array_agg(task_uuid), array_agg(step_no),
               array_agg(receipt), array_agg(msg_id), '{{test}}', array[{unknown}]::text[],
               array['1'::jsonb], '{{null}}')
             from tasker.steps"
        )))
        .execute(&mut world.connection)
        .await
        .unwrap_err();
        let state = refused.as_database_error().unwrap().code();
        assert_eq!(state.as_deref(), Some("TK400"), "{unknown}");
    }

    assert!(world.report(&[complete(&step)]).await.stale.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_expired_lease_gives_the_step_back_and_fences_its_old_holder() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let old = world.start_one().await;
    assert!(world.receive().await.is_empty());
    world.expire_leases().await;

    let timers = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(timers.woken_queues, ["worker_test_queue"]);
    let expired = world.receive().await.remove(0);

    assert_eq!(expired.expired.as_deref(), Some("lease_expired"));
    assert_eq!(expired.attempt, 1);
    world.report(&[retry(&expired)]).await;
    assert_eq!(world.report(&[complete(&old)]).await.stale, [0]);
    world.advance(Duration::from_secs(2)).await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(world.start_one().await.attempt, 2);
    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    world.assert_healthy().await;
}

/// A crash of the server may undo claims, which are not durable, and give their message numbers
/// away again. A worker that still works under such a claim must not touch what has its number now.
#[tokio::test]
async fn a_report_that_names_the_message_of_another_step_is_stale() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.submit("single").await;
    world.claim().await;
    let [first, second] = world.receive().await.try_into().unwrap();
    let undone = ReceivedStep {
        msg_id: second.msg_id,
        ..first.clone()
    };

    assert_eq!(world.report(&[complete(&undone)]).await.stale, [0]);
    assert_eq!(release(&mut world, &undone).await.stale, [0]);

    let both = [complete(&first), complete(&second)];
    assert_eq!(world.report(&both).await.stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_released_step_is_received_again_and_its_attempt_does_not_count() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.submit("linear").await;
    let step = world.start_one().await;
    let released = release(&mut world, &step).await;

    assert_eq!(released.announcements.queues, ["worker_test_queue"]);
    world.assert_healthy().await;
    assert_eq!(world.receive().await[0].attempt, 1);
    world.assert_healthy().await;
}
