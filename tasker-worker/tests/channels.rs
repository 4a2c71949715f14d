//! The channels of a worker: sized by their keys, and safe at any size.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::json;
use tasker_shared::channel::registry;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;
use world::World;

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

    wait_until("all are complete", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let complete = "select count(*) from tasker.tasks where state = 'complete'";
        world.count(complete).await == 100
    })
    .await;
    worker.drain().await;
    world.assert_sound().await;
}
