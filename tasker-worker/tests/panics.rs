//! Loops of a worker that panic: they start again with their state, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use serde_json::json;
use tasker_shared::config::DeploymentMode;
use tasker_shared::state::TaskState;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tokio::time::timeout;
use world::{GATE, Gate, World};

const HOUR: Duration = Duration::from_hours(1);

/// The loops of a worker that listens and polls.
const LOOPS: [&str; 7] = [
    "worker_command_processor",
    "worker_event_system",
    "worker_poller",
    "worker_listener",
    "worker_event_classifier",
    "worker_reporter",
    "worker_registration",
];

fn restarts(name: &str) -> u64 {
    let sample = format!("tasker_supervised_restarts_total{{name=\"{name}\"");
    let scraped = render_prometheus();
    let line = scraped.lines().find(|line| line.starts_with(&sample));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn a_worker_works_on_and_ends_through_panics_of_its_loops_each_of_which_is_counted() {
    let mut world = World::create().await.with_mode(DeploymentMode::Hybrid);
    world.config.worker.reporters = 1;
    world.config.event_systems.supervisor.restart_min = Duration::from_millis(1);
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    for name in LOOPS {
        let before = restarts(name);
        let task = world.submit("one", json!({})).await;
        wait_until("there is a loop to panic", WAIT_TIMEOUT, async || {
            worker.make_panic(name)
        })
        .await;
        gate.open();

        world.run_to(task, TaskState::Complete).await;
        wait_until("the panic is counted", WAIT_TIMEOUT, async || {
            restarts(name) == before + 1
        })
        .await;
    }
    assert!(worker.drain().await.is_complete);
    world.assert_sound().await;

    // The pauses are an hour from here on, far more than a worker waits for its loops.
    world.config.event_systems.supervisor.restart_min = HOUR;
    world.config.event_systems.supervisor.restart_max = HOUR;
    let (tasks, gate, worker) = world.start_gated_tasks(1).await;
    let before = LOOPS.map(restarts);
    assert!(LOOPS.iter().all(|name| worker.make_panic(name)));
    wait_until("all loops wait", WAIT_TIMEOUT, async || {
        LOOPS.map(restarts) == before.map(|it| it + 1)
    })
    .await;
    gate.open();

    let drained = timeout(WAIT_TIMEOUT, worker.drain()).await.unwrap();

    assert!(drained.is_complete, "the outcome was not recorded");
    world.run_to(tasks[0], TaskState::Complete).await;
    world.assert_sound().await;
}
