//! Whose turn it is: what follows, or what waits in the queue.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{Handlers, Step};

use crate::world::{Gate, World};
use crate::{GATED_FIRST, ON, assert_nothing_was_handed_on, attempts, hold_up_the_outcome, world};

#[tokio::test]
async fn a_step_that_took_most_of_its_lease_hands_nothing_on() {
    let (world, task) = world(GATED_FIRST).await;
    let world = world.with_lease(1.0);
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;
    world.wait_for_extension().await;

    gate.open();

    assert_nothing_was_handed_on(&world, task, &gate).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_finds_its_place_taken_goes_back_and_loses_no_attempt() {
    let (mut world, task) = world(GATED_FIRST).await;
    world.config.worker.concurrency = 1;
    world
        .template(
            "long",
            "  - { name: only, handler: long, timeout_ms: 3600000 }",
        )
        .await;
    let (gate, long) = (Gate::new(), Gate::new());
    let worker = {
        let long = long.clone();
        let handlers = gate.handlers();
        world.start(handlers.register("long", move |step: Step| long.clone().pass(step)))
    };
    world.claim().await;
    gate.wait_for_start().await;
    let transaction = hold_up_the_outcome(&world, task, &gate).await;
    // The place is free while the outcome waits, and taken again for as long as it pleases.
    let other = world.submit("long", json!({})).await;
    world.claim().await;
    long.wait_for_start().await;

    transaction.commit().await.unwrap();

    wait_until("the step is back in the queue", WAIT_TIMEOUT, async || {
        world.task(task).await.steps[1].state == StepState::Enqueued
    })
    .await;
    assert_eq!(attempts(&world.task(task).await), [1, 0]);
    long.open();
    gate.open();
    world.run_to(other, TaskState::Complete).await;
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_waits_in_the_queue_has_its_turn_before_a_chain_ends() {
    let mut world = World::create().await.with_continuation(ON);
    world.config.worker.concurrency = 1;
    world
        .template(
            "chain",
            "  - { name: s1, handler: noted }
  - { name: s2, handler: noted, depends_on: [s1] }
  - { name: s3, handler: noted, depends_on: [s2] }
  - { name: s4, handler: noted, depends_on: [s3] }",
        )
        .await;
    world
        .template("other", "  - { name: other, handler: noted }")
        .await;
    let gate = Gate::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let handlers = {
        let (gate, order) = (gate.clone(), Arc::clone(&order));
        Handlers::new().register("noted", move |step: Step| {
            order.lock().unwrap().push(step.name().to_owned());
            gate.clone().pass(step)
        })
    };
    let chain = world.submit("chain", json!({})).await;
    let worker = world.start(handlers);
    world.claim().await;
    gate.wait_for_start().await;
    let other = world.submit("other", json!({})).await;
    world.claim().await;

    gate.open();
    wait_until("the worker has received it", WAIT_TIMEOUT, async || {
        let begun = "select count(*) from tasker.step_transitions t
            join tasker.tasks k using (task_uuid) join tasker.templates p using (template_id)
            where p.name = 'other' and t.to_state = 'in_progress'";
        world.count(begun).await > 0
    })
    .await;
    for _ in 0..4 {
        gate.open();
    }

    world.run_to(other, TaskState::Complete).await;
    world.run_to(chain, TaskState::Complete).await;
    let order = order.lock().unwrap().clone();
    let place = |name| order.iter().position(|noted| noted == name);
    assert!(place("other") < place("s4"), "{order:?}");
    worker.drain().await;
    world.assert_sound().await;
}
