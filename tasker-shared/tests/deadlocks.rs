//! Locks are taken in one order (ready rows, tasks by uuid, steps, messages) or not waited for, so
//! that calls which overlap never deadlock.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use sqlx::{Postgres, Transaction};
use support::{LEASE, SINGLE, WORKER, World, act, complete, given_back, new_task};
use tasker_shared::error::Error;
use tasker_shared::operator::Action;
use tasker_shared::queues::Guard;
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, LeaseLost, ReceivedStep, StepReport};
use tasker_shared::tasks;

#[tokio::test]
async fn a_task_is_cancelled_while_its_first_step_is_claimed() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut first = world.begin().await;
    readiness::claim_ready_tasks(&mut first, "o-1", 10)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::CancelTask).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Cancelled);
    world.assert_healthy().await;
}

/// How many steps a claim puts into queues, and how many it leaves out because others hold them.
async fn claim(world: &mut World) -> (usize, u32) {
    let claimed =
        readiness::claim_ready_tasks_of(&mut world.connection, "o-1", 10, &[], Guard::AfterFailure)
            .await
            .unwrap();
    assert!(claimed.troubled.is_empty(), "{:?}", claimed.troubled);
    (claimed.tasks.len(), claimed.locked)
}

#[tokio::test]
async fn a_claim_passes_over_a_task_that_another_transaction_holds_and_comes_back() {
    for settles in [false, true] {
        let mut world = World::new().await;
        world.template("single", SINGLE).await;
        let held = world.submit("single").await;
        let other = world.submit("single").await;
        let mut open = world.begin().await;
        sqlx::query("select from tasker.tasks where task_uuid = $1 for no key update")
            .bind(held)
            .execute(&mut *open)
            .await
            .unwrap();

        assert_eq!(claim(&mut world).await, (1, 1));
        assert_eq!(world.receive().await[0].id.task_uuid, other);
        if settles {
            act(&mut open, held, Action::CancelTask).await.unwrap();
        }
        open.commit().await.unwrap();

        assert_eq!(claim(&mut world).await, (usize::from(!settles), 0));
        world.assert_healthy().await;
    }
}

/// Outcomes of as many tasks; a transaction that is open cancels the second of these.
async fn outcomes_of_which_the_second_is_held(
    world: &mut World,
    tasks: usize,
) -> (Vec<StepReport>, Transaction<'static, Postgres>) {
    world.template("single", SINGLE).await;
    for _ in 0..tasks {
        world.submit("single").await;
    }
    world.claim().await;
    let running = world.receive().await;
    let mut open = world.begin().await;
    act(&mut open, running[1].id.task_uuid, Action::CancelTask)
        .await
        .unwrap();
    (running.iter().map(complete).collect(), open)
}

#[tokio::test]
async fn outcomes_of_a_held_task_are_left_out_and_the_others_recorded() {
    let mut world = World::new().await;
    let (reports, open) = outcomes_of_which_the_second_is_held(&mut world, 3).await;

    let skip = steps::Locks::Skip;
    let first = steps::complete_steps(&mut world.connection, WORKER, &reports, skip)
        .await
        .unwrap();
    assert_eq!((first.locked, first.stale), (vec![1], vec![]));
    open.commit().await.unwrap();
    let again = steps::complete_steps(&mut world.connection, WORKER, &reports, skip)
        .await
        .unwrap();

    assert_eq!((again.locked, again.stale), (vec![], vec![0, 2]));
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_outcome_whose_step_alone_is_held_is_left_out_too() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let step = world.start_one().await;
    let mut open = world.begin().await;
    sqlx::query("select from tasker.steps for update")
        .execute(&mut *open)
        .await
        .unwrap();

    let reports = [complete(&step)];
    let skip = steps::Locks::Skip;
    let first = steps::complete_steps(&mut world.connection, WORKER, &reports, skip)
        .await
        .unwrap();
    assert_eq!((first.locked, first.stale), (vec![0], vec![]));
    open.rollback().await.unwrap();

    assert_eq!(world.report(&reports).await.locked, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_report_that_waits_for_a_lock_gives_up_and_has_changed_nothing() {
    let mut world = World::new().await;
    let (reports, open) = outcomes_of_which_the_second_is_held(&mut world, 2).await;

    world.run("set lock_timeout = '50 ms'").await;
    let wait = steps::Locks::Wait;
    let waited = steps::complete_steps(&mut world.connection, WORKER, &reports, wait).await;

    assert!(matches!(waited, Err(Error::Locked { .. })), "{waited:?}");
    open.rollback().await.unwrap();
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_is_given_back_while_its_task_is_held_stays_until_it_can_be() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let step = world.start_one().await;
    let back = [given_back(&step)];
    let mut open = world.begin().await;
    act(&mut open, step.id.task_uuid, Action::CancelTask)
        .await
        .unwrap();

    let first = steps::release_steps(&mut world.connection, WORKER, &back)
        .await
        .unwrap();
    open.rollback().await.unwrap();
    let again = steps::release_steps(&mut world.connection, WORKER, &back)
        .await
        .unwrap();

    assert_eq!((first.locked, first.stale), (vec![0], vec![]));
    assert_eq!((again.locked, again.stale), (vec![], vec![]));
    assert_eq!(world.receive().await.len(), 1);
    world.assert_healthy().await;
}

/// Two running steps in the order of their messages: one with a long, one with a short timeout.
async fn with_two_timeouts(world: &mut World) -> Vec<ReceivedStep> {
    world
        .apply(json!({
            "namespace": "test", "name": "two", "version": "1.0.0",
            "steps": [
                { "name": "long", "handler": "h", "timeout_ms": 600_000 },
                { "name": "short", "handler": "h", "timeout_ms": 5_000 },
            ],
        }))
        .await;
    world.submit("two").await;
    world.claim().await;
    let mut running = world.receive().await;
    running.sort_by_key(|step| step.msg_id);
    assert_eq!(running[0].step_name, "long");
    running
}

/// A heartbeat, which fails where it waits for a lock.
async fn extend_leases(world: &mut World, running: &[ReceivedStep]) -> Vec<LeaseLost> {
    let held: Vec<_> = running.iter().map(|step| (step.id, step.receipt)).collect();
    world.run("set lock_timeout = '20 s'").await;
    steps::extend_leases(&mut world.connection, WORKER, &held, LEASE)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_heartbeat_waits_for_no_message_that_another_transaction_holds() {
    let mut world = World::new().await;
    let running = with_two_timeouts(&mut world).await;
    let mut open = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue where msg_id = $1 for update")
        .bind(running[1].msg_id)
        .execute(&mut *open)
        .await
        .unwrap();

    let lost = extend_leases(&mut world, &running).await;
    open.commit().await.unwrap();

    assert_eq!(lost, []);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_heartbeat_does_not_wait_for_outcomes_that_are_being_recorded() {
    let mut world = World::new().await;
    let running = with_two_timeouts(&mut world).await;
    let mut first = world.begin().await;
    steps::complete_steps(
        &mut first,
        WORKER,
        &[complete(&running[0])],
        steps::Locks::Wait,
    )
    .await
    .unwrap();

    let lost = extend_leases(&mut world, &running).await;
    first.commit().await.unwrap();

    assert_eq!(lost, [], "until it is committed the attempt is current");
    world.assert_healthy().await;
}

#[tokio::test]
async fn batches_that_name_the_same_tasks_in_another_order_do_not_deadlock() {
    let mut world = World::new().await;
    world.template("roots", &[("a", &[]), ("b", &[])]).await;
    for _ in 0..20 {
        world.submit("roots").await;
    }
    world.claim().await;
    let running = world.receive().await;
    let mut forwards = running
        .iter()
        .filter(|step| step.step_name == "a")
        .map(complete)
        .collect::<Vec<_>>();
    let mut backwards = running
        .iter()
        .filter(|step| step.step_name == "b")
        .map(complete)
        .collect::<Vec<_>>();
    forwards.sort_by_key(|report| report.id);
    backwards.sort_by_key(|report| std::cmp::Reverse(report.id));
    // Both wait at the same task in the middle, each with what it locked before it.
    let mut first = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for no key update")
        .bind(forwards[10].id.task_uuid)
        .execute(&mut *first)
        .await
        .unwrap();
    let mut calls = Vec::new();
    for reports in [forwards, backwards] {
        let call = world
            .start_blocked(async move |mut connection| {
                steps::complete_steps(&mut connection, WORKER, &reports, steps::Locks::Wait).await
            })
            .await;
        calls.push(call);
    }

    first.commit().await.unwrap();

    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().stale, Vec::<usize>::new());
    }
    let complete: i64 = world
        .value("select count(*) from tasker.tasks where state = 'complete'")
        .await;
    assert_eq!(complete, 20);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_batches_with_the_same_keys_in_another_order_do_not_deadlock() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let keyed = |key: &str| {
        let mut task = new_task("single");
        task.idempotency_key = Some(key.to_owned());
        task
    };
    let batch = ["a", "b", "c"].map(keyed).to_vec();
    let mut reversed = batch.clone();
    reversed.reverse();
    let mut first = world.begin().await;
    tasks::submit_tasks(&mut first, &[keyed("b")])
        .await
        .unwrap();
    let mut calls = Vec::new();
    for batch in [batch, reversed] {
        let call = world
            .start_blocked(async move |mut connection| {
                tasks::submit_tasks(&mut connection, &batch).await
            })
            .await;
        calls.push(call);
    }

    first.rollback().await.unwrap();

    let mut created = 0;
    for call in calls {
        let submitted = call.await.unwrap().unwrap();
        created += submitted.iter().filter(|task| task.created).count();
    }
    assert_eq!(created, 3);
    assert_eq!(world.claim().await.len(), 3);
    world.assert_healthy().await;
}
