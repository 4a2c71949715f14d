//! A database that is late, refuses or does not answer when a step is handed on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tasker_shared::database::Database;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::world::{GATE, Gate, World, counted};
use crate::{GATED_FIRST, ON, assert_nothing_was_handed_on, attempts, world};

#[tokio::test]
async fn an_outcome_that_waited_for_the_database_longer_than_its_lease_hands_nothing_on() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world
        .with_lease(1.0)
        .with_continuation(ON)
        .leaving_dependents_to_claims();
    world.template("chain", GATED_FIRST).await;
    let task = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;

    proxy.cut();
    gate.open();
    wait_until("the lease has run out", WAIT_TIMEOUT, async || {
        let out = "select count(*) from pgmq.q_worker_shop_queue where vt < clock_timestamp()";
        world.count(out).await == 1
    })
    .await;
    proxy.resume();

    assert_nothing_was_handed_on(&world, task, &gate).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_is_recorded_although_what_follows_is_refused() {
    let (world, task) = world(
        "  - { name: a, handler: count }
  - { name: b, handler: count, depends_on: [a] }",
    )
    .await;
    let handed_on = "(old.state, new.state) = ('pending', 'in_progress')";
    world.refuse_moves(handed_on, "P0001").await;
    let (handlers, runs) = counted();
    let worker = world.start(handlers);

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(attempts(&detail), [1, 1]);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_whose_handing_on_was_never_answered_runs_without_waiting_for_its_lease() {
    let (world, proxy) = World::behind_proxy().await;
    let mut world = world.with_lease(3600.0).with_continuation(ON);
    world.config.database.call_timeout = Duration::from_secs(1);
    world.config.worker.reporters = 1;
    world.database = Database::connect(&world.config.database).await.unwrap();
    world
        .template(
            "chain",
            "  - { name: a, handler: gate, timeout_ms: 3600000 }
  - { name: b, handler: builtin.noop, depends_on: [a], timeout_ms: 3600000 }
  - { name: c, handler: builtin.noop, depends_on: [b] }",
        )
        .await;
    // The reporter has its connection, and too few outcomes to announce them in another way.
    world.template("one", GATE).await;
    let warm_up = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    gate.open();
    world.run_to(warm_up, TaskState::Complete).await;
    gate.wait_for_start().await;
    let task = world.submit("chain", json!({})).await;
    world.claim().await;
    gate.wait_for_start().await;

    proxy.swallow_answers();
    gate.open();
    wait_until("the next step is handed on", WAIT_TIMEOUT, async || {
        world.task(task).await.steps[1].state == StepState::InProgress
    })
    .await;
    proxy.resume();
    proxy.reset();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}
