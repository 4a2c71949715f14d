//! What a worker tells subscribers in its process.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::{Value, json};
use tasker_shared::channel::NotReceived;
use tasker_shared::config::DropPolicy;
use tasker_shared::events::{EventSubscription, LifecycleEvent};
use tasker_shared::state::TaskState;
use tasker_testing::WAIT_TIMEOUT;
use tasker_worker::Handlers;
use tokio::time::timeout;
use world::World;

/// The next event.
async fn next(events: &mut EventSubscription) -> Value {
    let event = timeout(WAIT_TIMEOUT, events.next()).await;
    let event = event.expect("nothing was told").unwrap();
    serde_json::to_value::<&LifecycleEvent>(&event).unwrap()
}

/// The next events, each with its step, attempt and state.
async fn told(events: &mut EventSubscription, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..count {
        let event = next(events).await;
        let text = |key: &str| event[key].as_str().unwrap_or("task").to_owned();
        told.push(format!(
            "{} {} {} {}",
            text("event"),
            text("step"),
            event["attempt"].as_i64().unwrap_or(0),
            text("to_state")
        ));
    }
    told
}

#[tokio::test]
async fn a_worker_tells_of_its_steps_in_order_and_of_the_ends_of_tasks() {
    let world = World::create().await;
    world
        .template(
            "mixed",
            "  - { name: good, handler: builtin.noop }
  - { name: again, handler: builtin.fail, input: { times: 1 }, depends_on: [good] }
  - { name: bad, handler: builtin.fail, input: { retryable: false }, depends_on: [again] }",
        )
        .await;
    let worker = world.start(Handlers::new());
    let mut events = worker.subscribe();
    let task = world.submit("mixed", json!({})).await;
    world.run_to(task, TaskState::Error).await;

    assert_eq!(
        told(&mut events, 9).await,
        [
            "step_started good 1 in_progress",
            "step_completed good 1 complete",
            "step_started again 1 in_progress",
            "step_failed again 1 waiting_for_retry",
            "step_started again 2 in_progress",
            "step_completed again 2 complete",
            "step_started bad 1 in_progress",
            "step_failed bad 1 error",
            "task_finished task 0 error",
        ]
    );
    worker.drain().await;
    assert_eq!(events.next().await, Err(NotReceived::Closed));
    world.assert_sound().await;
}

#[tokio::test]
async fn an_event_says_what_it_is_about_and_who_did_it() {
    let world = World::create().await;
    let step = "  - { name: bad, handler: builtin.fail, retry: { max_attempts: 1 } }";
    world.template("one", step).await;
    let worker = world.start_named("worker-7", Handlers::new());
    let mut events = worker.subscribe();
    let task = world.submit("one", json!({})).await;
    let detail = world.run_to(task, TaskState::Error).await;

    next(&mut events).await;
    let failed = next(&mut events).await;
    assert_eq!(
        failed,
        json!({
            "event": "step_failed",
            "at": failed["at"],
            "task_uuid": task,
            "namespace": "shop",
            "template": "shop/one@1.0.0",
            "step": "bad",
            "step_uuid": detail.steps[0].step_uuid,
            "attempt": 1,
            "from_state": "in_progress",
            "to_state": "error",
            "retryable": false,
            "actor": "worker-7",
            "error": detail.steps[0].error.as_ref().unwrap()["kind"],
        })
    );
    worker.drain().await;
}

#[tokio::test]
async fn a_slow_subscriber_is_told_what_it_missed_while_the_worker_runs_on() {
    const TASKS: usize = 30;
    for policy in [
        DropPolicy::DropNewest,
        DropPolicy::DropOldest,
        DropPolicy::Block,
    ] {
        let mut world = World::create().await;
        let channels = &mut world.config.mpsc_channels;
        channels.worker.in_process_events.broadcast_buffer_size = 3;
        channels.shared.event_publisher.event_queue_buffer_size = 2;
        channels.shared.event_publisher.drop_policy = policy;
        world
            .template("one", "  - { name: only, handler: builtin.noop }")
            .await;
        let worker = world.start(Handlers::new());
        let mut slow = worker.subscribe();
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            tasks.push(world.submit("one", json!({})).await);
        }
        for task in tasks {
            world.run_to(task, TaskState::Complete).await;
        }
        worker.drain().await;

        let (mut received, mut missed) = (0, 0);
        loop {
            match timeout(WAIT_TIMEOUT, slow.next()).await.unwrap() {
                Ok(_) => received += 1,
                Err(NotReceived::Lagged(count)) => missed += count,
                Err(NotReceived::Closed) => break,
            }
        }
        // Started, completed and finished, of each task.
        assert!((1..=3).contains(&received), "{received}");
        assert!(missed >= 3 * TASKS as u64 - 3, "{policy:?}: {missed}");
    }
}
