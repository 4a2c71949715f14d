//! What a worker tells of itself: metrics that are really fed, channels that are seen.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::json;
use tasker_shared::channel::registry;
use tasker_shared::state::TaskState;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{PATIENCE, wait_until};
use tasker_worker::Handlers;
use world::World;

#[tokio::test]
async fn the_metrics_of_a_worker_are_fed_by_a_run() {
    let mut world = World::create().await;
    world.config.worker.max_refusals = 1;
    world
        .template(
            "all",
            "  - { name: good, handler: builtin.noop }
  - { name: again, handler: builtin.fail, input: { times: 1 } }
  - { name: bad, handler: builtin.fail, input: { retryable: false } }
  - { name: unknown, handler: nobodys }",
        )
        .await;
    let task = world.submit("all", json!({})).await;
    let worker = world.start(Handlers::new());
    world.run_to(task, TaskState::Error).await;
    worker.drain().await;

    let scraped = render_prometheus();
    for sample in [
        "tasker_steps_received_total 5",
        "tasker_step_outcomes_total{outcome=\"complete\"} 2",
        "tasker_step_outcomes_total{outcome=\"fail\"} 1",
        "tasker_step_outcomes_total{outcome=\"retry\"} 1",
        "tasker_step_duration_seconds_count{handler=\"builtin.noop\"} 1",
        "tasker_steps_refused_total 1",
        "tasker_worker_running_steps 0",
        "tasker_worker_concurrency 0",
        "tasker_wakeups_total{loop=\"worker_receive\",reason=\"start\"} 1",
        "tasker_listener_connections_total{listener=\"worker\"} 1",
    ] {
        assert!(
            scraped.lines().any(|line| line == sample),
            "{sample}\n{scraped}"
        );
    }
}

#[tokio::test]
async fn each_channel_of_a_worker_has_the_capacity_of_its_key() {
    let mut world = World::create().await;
    let channels = &mut world.config.mpsc_channels;
    channels.worker.event_listeners.pgmq_event_buffer_size = 21;
    channels.worker.event_systems.event_channel_buffer_size = 22;
    channels.worker.command_processor.command_buffer_size = 23;
    channels.worker.event_subscribers.completion_buffer_size = 24;
    channels.worker.event_subscribers.result_buffer_size = 25;
    channels.shared.announcer.announcement_buffer_size = 26;

    let worker = world.start(Handlers::new());

    let capacities = registry::snapshot();
    for (name, capacity) in [
        ("pgmq_events", 21),
        ("events", 22),
        ("commands", 23),
        ("completions", 24),
        ("results", 25),
        ("announcements", 26),
    ] {
        let found = capacities.iter().any(|channel| {
            (channel.component, channel.name, channel.capacity) == ("worker", name, capacity)
        });
        assert!(found, "{name} in {capacities:?}");
    }
    worker.drain().await;
}

#[tokio::test]
async fn a_small_channel_slows_a_worker_down_and_loses_nothing() {
    let mut world = World::create().await;
    world.config.worker.receive_batch_size = 7;
    world.config.worker.report_batch_size = 3;
    let worker = &mut world.config.mpsc_channels.worker;
    worker.event_listeners.pgmq_event_buffer_size = 1;
    worker.event_systems.event_channel_buffer_size = 1;
    worker.command_processor.command_buffer_size = 1;
    worker.event_subscribers.completion_buffer_size = 1;
    worker.event_subscribers.result_buffer_size = 1;
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    for _ in 0..100 {
        world.submit("one", json!({})).await;
    }

    let worker = world.start(Handlers::new());

    wait_until("all are complete", PATIENCE, async || {
        world.orchestrate().await;
        let complete = "select count(*) from tasker.tasks where state = 'complete'";
        world.count(complete).await == 100
    })
    .await;
    worker.drain().await;
    world.assert_sound().await;
}
