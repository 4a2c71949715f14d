//! How a worker stops: what runs may end, what does not end is tried again, nothing is lost.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use serde_json::json;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;
use world::{Gate, World, error_of};

async fn world_with_running_steps(steps: i64) -> World {
    let world = World::create().await.with_lease(3600.0);
    world
        .template("one", "  - { name: only, handler: gate }")
        .await;
    for _ in 0..steps {
        world.submit("one", json!({})).await;
    }
    world
}

/// Waits until so many handlers run; that their steps are in progress says less.
async fn wait_for_running(world: &World, gate: &Gate, steps: i64) {
    wait_until("steps are in progress", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let running = "select count(*) from tasker.steps where state = 'in_progress'";
        world.count(running).await == steps
    })
    .await;
    for _ in 0..steps {
        gate.wait_for_start().await;
    }
}

#[tokio::test]
async fn running_handlers_end_and_what_is_not_started_stays_in_the_queue() {
    let mut world = world_with_running_steps(3).await;
    world.config.worker.concurrency = 2;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    wait_for_running(&world, &gate, 2).await;

    let drained = tokio::spawn(worker.drain());
    for _ in 0..3 {
        gate.open();
    }
    let drained = drained.await.unwrap();

    assert_eq!((drained.interrupted, drained.is_complete), (0, true));
    let complete = "select count(*) from tasker.tasks where state = 'complete'";
    let waiting = "select count(*) from tasker.steps where state = 'enqueued' and attempt = 0";
    assert_eq!(world.count(complete).await, 2);
    assert_eq!(world.count(waiting).await, 1);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_interrupted_and_tried_again_at_once() {
    let mut world = world_with_running_steps(0).await;
    world.config.worker.drain_timeout = Duration::ZERO;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    wait_for_running(&world, &gate, 1).await;

    let drained = worker.drain().await;

    assert_eq!((drained.interrupted, drained.is_complete), (1, true));
    let step = world.task(task).await.steps.remove(0);
    assert_eq!(step.state, StepState::WaitingForRetry);
    assert_eq!(error_of(&step).0, "worker_stopped");
    let due = "select count(*) from tasker.timers where due_at <= tasker.now()";
    assert_eq!(world.count(due).await, 1);

    gate.open();
    let heir = world.start_named("heir", gate.handlers());
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 2);
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_without_work_drains_at_once() {
    let world = world_with_running_steps(0).await;
    let worker = world.start(Handlers::new());

    let drained = worker.drain().await;

    assert_eq!((drained.interrupted, drained.is_complete), (0, true));
}

#[tokio::test]
async fn a_worker_that_cannot_report_stops_all_the_same_and_says_so() {
    let (world, proxy) = World::behind_proxy().await;
    world
        .template("one", "  - { name: only, handler: gate }")
        .await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    wait_for_running(&world, &gate, 1).await;

    proxy.cut();
    gate.open();
    gate.open();
    let drained = worker.drain().await;

    assert_eq!((drained.interrupted, drained.is_complete), (0, false));
    proxy.resume();
    world.expire_leases().await;
    let heir = world.start_named("heir", gate.handlers());
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 2);
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn the_announcements_of_the_last_outcomes_are_sent_before_the_worker_ends() {
    let world = world_with_running_steps(1).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    wait_for_running(&world, &gate, 1).await;
    let mut listener = sqlx::postgres::PgListener::connect(world.db.url())
        .await
        .unwrap();
    listener.listen("tasker_task_state").await.unwrap();

    let drained = tokio::spawn(worker.drain());
    gate.open();
    drained.await.unwrap();

    let told = tokio::time::timeout(WAIT_TIMEOUT, listener.recv()).await;
    let told = told.expect("an announcement comes").unwrap();
    assert!(told.payload().contains("complete"), "{}", told.payload());
}
