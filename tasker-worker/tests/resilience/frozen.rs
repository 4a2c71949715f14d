//! Sessions of the server that freeze.

use std::time::{Duration, Instant};

use serde_json::json;
use tasker_shared::state::TaskState;
use tasker_testing::{FrozenSession, WAIT_TIMEOUT, wait_for, wait_until};
use tasker_worker::{Handlers, RunningWorker};

use crate::wait_until_healthy;
use crate::world::{GATE, Gate, World};

/// Freezes the session that was used last for this statement.
async fn freeze(world: &World, statement: &str) -> FrozenSession {
    wait_for("the session is idle", WAIT_TIMEOUT, async || {
        FrozenSession::idle_after(&world.pool, statement).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_keep_their_leases_while_the_heartbeats_session_is_frozen() {
    const STEPS: usize = 3;
    let mut world = World::create().await.with_lease(6.0);
    world.config.worker.concurrency = STEPS;
    world.template("one", GATE).await;
    let (tasks, gate, worker) = world.start_gated_tasks(STEPS).await;

    let frozen = freeze(&world, "extend_leases").await;
    // Whatever loses its lease is found by this one.
    let rival = world.start_named("rival", gate.handlers());
    let leases_end: f64 = sqlx::query_scalar(
        "select extract(epoch from max(vt) - clock_timestamp())::float8
         from pgmq.q_worker_shop_queue",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let leases_end = Instant::now() + Duration::from_secs_f64(leases_end);
    wait_until("the leases would have ended", WAIT_TIMEOUT, async || {
        Instant::now() > leases_end + Duration::from_secs(1)
    })
    .await;

    for _ in 0..STEPS {
        gate.open();
    }
    for task in tasks {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
    }
    drop(frozen);
    worker.drain().await;
    rival.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_does_not_wait_for_a_session_that_is_frozen() {
    let mut world = World::create().await.with_lease(3.0);
    world.config.worker.reporters = 1;
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    let mut frozen = Vec::new();
    for _ in 0..2 {
        let task = world.submit("one", json!({})).await;
        world.orchestrate().await;
        gate.wait_for_start().await;
        let began = Instant::now();
        gate.open();
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
        let lasted = began.elapsed();
        assert!(
            lasted < Duration::from_secs(30),
            "a call may last 65 s: {lasted:?}"
        );
        frozen.push(freeze(&world, "complete_%step").await);
    }
    drop(frozen);
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}

/// A worker for the template `one` whose session for receipts is frozen.
async fn with_a_frozen_receipt() -> (World, RunningWorker, FrozenSession) {
    let world = World::create().await.with_lease(3.0);
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let worker = world.start(Handlers::new());
    let warm_up = world.submit("one", json!({})).await;
    world.run_to(warm_up, TaskState::Complete).await;
    let frozen = freeze(&world, "receive_steps").await;
    (world, worker, frozen)
}

#[tokio::test]
async fn steps_are_received_although_a_session_is_frozen() {
    let (world, worker, frozen) = with_a_frozen_receipt().await;
    let began = Instant::now();
    let task = world.submit("one", json!({})).await;
    world.run_to(task, TaskState::Complete).await;

    let lasted = began.elapsed();
    assert!(
        lasted < Duration::from_secs(30),
        "a call may last 65 s: {lasted:?}"
    );
    drop(frozen);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_receipt_that_was_given_up_takes_no_step_when_its_session_goes_on() {
    let (world, worker, frozen) = with_a_frozen_receipt().await;
    // The worker waits for it without an answer, and receives this in another session.
    let task = world.submit("one", json!({})).await;
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.submit("one", json!({})).await;
    world.claim().await;

    drop(frozen);
    wait_until("the session has ended", WAIT_TIMEOUT, async || {
        let sessions = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'tasker'
               and query like '%receive_steps%'";
        world.count(sessions).await == 0
    })
    .await;

    let held = "select count(*) from tasker.steps where state = 'in_progress'";
    assert_eq!(world.count(held).await, 0);
    world.assert_sound().await;
}
