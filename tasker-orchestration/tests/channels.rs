//! The channels of an orchestrator: sized by their keys, and safe at any size.

mod world;

use tasker_shared::channel::registry;
use tasker_shared::config::DeploymentMode::Hybrid;
use world::World;

#[tokio::test]
async fn each_channel_of_an_orchestrator_has_the_capacity_of_its_key() {
    let world = World::create().await;
    let mut config = world.config(Hybrid);
    let channels = &mut config.mpsc_channels;
    let orchestration = &mut channels.orchestration;
    orchestration.command_processor.command_buffer_size = 31;
    orchestration.event_systems.event_channel_buffer_size = 32;
    orchestration.event_listeners.pgmq_event_buffer_size = 33;
    orchestration.event_listeners.pgmq_event_buffer_bytes = 34_000;
    channels.task_readiness.event_channel.buffer_size = 35;

    let orchestrator = world.start(&config).await;

    let channels = registry::snapshot();
    for (name, capacity, max_bytes) in [
        ("commands", 31, None),
        ("orchestration_events", 32, None),
        ("notifications", 33, Some(34_000)),
        ("task_readiness_events", 35, None),
    ] {
        let found = channels.iter().any(|channel| {
            (channel.component, channel.name) == ("orchestration", name)
                && (channel.capacity, channel.max_bytes) == (capacity, max_bytes)
        });
        assert!(found, "{name} in {channels:?}");
    }
    orchestrator.stop().await;
}

#[tokio::test]
async fn the_smallest_channels_slow_an_orchestrator_down_and_lose_nothing() {
    const TASKS: i64 = 100;
    let world = World::create().await;
    let mut config = world.config(Hybrid);
    config.orchestration.claims.batch_size = 3;
    let channels = &mut config.mpsc_channels;
    let orchestration = &mut channels.orchestration;
    orchestration.command_processor.command_buffer_size = 1;
    orchestration.event_systems.event_channel_buffer_size = 1;
    orchestration.event_listeners.pgmq_event_buffer_size = 1;
    channels.task_readiness.event_channel.buffer_size = 1;
    let orchestrator = world.start(&config).await;

    for _ in 0..TASKS {
        world.submit(0).await;
    }

    world.wait_until_queued(TASKS).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
