//! Answers that get lost, and with them what they say has started.

use std::time::Duration;

use serde_json::json;
use tasker_shared::config::DeploymentMode::EventDrivenOnly;
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::StepState;
use tasker_testing::{FaultProxy, WAIT_TIMEOUT, wait_until};

use crate::world::{Gate, World};
use crate::{ON, WIDTH, run_to_the_end, templates, warm_up};

/// A world whose workers have so many reporters, and reach the database through the proxy.
async fn world(reporters: usize) -> (World, FaultProxy) {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with_lease(3600.0).with_continuation(ON);
    let mut world = world.with_mode(EventDrivenOnly);
    world.config.database.call_timeout = Duration::from_secs(1);
    world.config.worker.reporters = reporters;
    world.database = Database::connect(&world.config.database).await.unwrap();
    templates(&world).await;
    (world, proxy)
}

async fn wait_until_running(world: &World, task: TaskUuid, steps: &[usize]) {
    wait_until("the steps are in progress", WAIT_TIMEOUT, async || {
        let found = world.task(task).await.steps;
        let states = steps.iter().map(|step| found[*step].state);
        states
            .into_iter()
            .all(|state| state == StepState::InProgress)
    })
    .await;
}

#[tokio::test]
async fn all_that_started_runs_without_waiting_for_its_lease() {
    let (world, proxy) = world(1).await;
    let gate = Gate::new();
    let (worker, task) = crate::first_running(&world, &gate).await;

    proxy.swallow_answers();
    gate.open();
    wait_until_running(&world, task, &[1, 2, 3, 4, 5]).await;
    proxy.resume();
    proxy.reset();

    for _ in 0..WIDTH {
        gate.wait_for_start().await;
    }
    run_to_the_end(&world, &gate, task).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_two_answers_tell_of_starts_once() {
    let (world, proxy) = world(2).await;
    let keys = "handler: gate, timeout_ms: 3600000";
    let joins = format!(
        "  - {{ name: a, {keys} }}\n  - {{ name: b, handler: other, timeout_ms: 3600000 }}\n  \
         - {{ name: c, {keys}, depends_on: [a, b] }}\n  - {{ name: d, {keys}, depends_on: [a, b] }}"
    );
    world.template("joins", &joins).await;
    let (gate, other) = (Gate::new(), Gate::new());
    let handlers = {
        let other = other.clone();
        let pass = move |step| other.clone().pass(step);
        gate.handlers().register("other", pass)
    };
    let worker = world.start(handlers);
    warm_up(&world, 4).await;
    let task = world.submit("joins", json!({})).await;
    world.claim().await;
    gate.wait_for_start().await;
    other.wait_for_start().await;

    proxy.swallow_answers();
    gate.open();
    wait_until("the first is recorded", WAIT_TIMEOUT, async || {
        world.task(task).await.steps[0].state == StepState::Complete
    })
    .await;
    other.open();
    wait_until_running(&world, task, &[2]).await;
    // Both are reported again, and both answers tell of what follows.
    proxy.resume();
    proxy.reset();
    for _ in 0..2 {
        gate.wait_for_start().await;
    }
    wait_until("nothing is left to report", WAIT_TIMEOUT, async || {
        worker.health().outcomes_waiting == 0
    })
    .await;

    run_to_the_end(&world, &gate, task).await;
    worker.drain().await;
    assert_eq!(gate.started.available_permits(), 0, "one started twice");
    world.assert_sound().await;
}
