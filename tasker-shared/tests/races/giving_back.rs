//! Steps that are given back, while others report, receive or hold them.

use tasker_shared::state::StepState;
use tasker_shared::steps;

use crate::support::{LEASE, SINGLE, WORKER, World, complete, given_back};
use crate::with_one_step_running;

#[tokio::test]
async fn a_step_that_was_given_back_meanwhile_does_not_complete() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    let release = given_back(&step);
    let mut first = world.begin().await;
    steps::release_steps(&mut first, WORKER, &[release])
        .await
        .unwrap();

    let report = complete(&step);
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &[report], steps::Locks::Wait)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(outcome.await.unwrap().stale, [0]);
    assert_eq!(world.step_state(task, "only").await, StepState::Enqueued);
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["only"]);
}

#[tokio::test]
async fn a_step_given_back_while_a_receipt_holds_its_message_can_be_received_after_that() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    // As a receipt does that found the message before its lease was set.
    let mut receipt = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue for update")
        .execute(&mut *receipt)
        .await
        .unwrap();

    let back = [given_back(&step)];
    let released = world
        .start_blocked(async move |mut connection| {
            steps::release_steps(&mut connection, WORKER, &back)
                .await
                .unwrap()
        })
        .await;
    receipt.rollback().await.unwrap();

    assert_eq!(released.await.unwrap().stale, Vec::<usize>::new());
    assert_eq!(world.step_state(task, "only").await, StepState::Enqueued);
    assert_eq!(world.receive().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_message_that_somebody_keeps_holds_up_no_other_that_is_given_back() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for _ in 0..2 {
        world.submit("single").await;
    }
    world.claim().await;
    let running = world.receive().await;
    let mut first = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue where msg_id = $1 for update")
        .bind(running[0].msg_id)
        .execute(&mut *first)
        .await
        .unwrap();

    let back: Vec<_> = running.iter().map(given_back).collect();
    steps::release_steps(&mut world.connection, WORKER, &back)
        .await
        .unwrap();

    let received = world.receive().await;
    let ids: Vec<_> = received.iter().map(|step| step.id).collect();
    assert_eq!(ids, [running[1].id]);
    first.rollback().await.unwrap();
    world.expire_leases().await;
    assert_eq!(world.receive().await.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn neither_a_release_nor_a_heartbeat_waits_for_a_message_that_somebody_holds() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    let mut first = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue for update")
        .execute(&mut *first)
        .await
        .unwrap();
    world.run("set statement_timeout to '10s'").await;

    let held = [(step.id, step.receipt)];
    let lost = steps::extend_leases(&mut world.connection, WORKER, &held, LEASE)
        .await
        .unwrap();
    assert_eq!(lost, []);
    let release = given_back(&step);
    let released = steps::release_steps(&mut world.connection, WORKER, &[release])
        .await
        .unwrap();

    assert_eq!(released.stale, Vec::<usize>::new());
    assert_eq!(world.step_state(task, "only").await, StepState::Enqueued);
    first.rollback().await.unwrap();
    world.expire_leases().await;
    assert_eq!(world.run_all().await, ["only"]);
    world.assert_healthy().await;
}
