//! Steps that follow one another in one worker, without a trip through the queue.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use serde_json::{Value, json};
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};
use world::{Gate, World};

/// More than any chain here is long.
const ON: u32 = 16;

/// Four steps, each after the one before it.
async fn chain(world: &World, handler: &str) {
    let steps = ["[]", "[s1]", "[s2]", "[s3]"].iter().zip(1..);
    let steps = steps.map(|(depends_on, number)| {
        format!("  - {{ name: s{number}, handler: {handler}, depends_on: {depends_on} }}\n")
    });
    world.template("chain", &steps.collect::<String>()).await;
}

#[tokio::test]
async fn a_chain_that_was_claimed_once_runs_to_its_end() {
    async fn count(step: Step) -> Result<i64, HandlerError> {
        let before = step.dependencies().values().filter_map(Value::as_i64).max();
        Ok(before.unwrap_or(0) + 1)
    }
    let world = World::create().await.with_continuation(ON);
    chain(&world, "count").await;
    let task = world.submit("chain", json!({})).await;
    let worker = world.start(Handlers::new().register("count", count));

    world.claim().await;

    world.wait_for_complete(4).await;
    let detail = world.task(task).await;
    assert_eq!(detail.summary.state, TaskState::Complete);
    assert_eq!(detail.steps[3].result, Some(json!(4)));
    let enqueued = "select count(*) from tasker.step_transitions where to_state = 'enqueued'";
    let started = "select count(*) from tasker.step_transitions where to_state = 'in_progress'";
    assert_eq!(
        (world.count(enqueued).await, world.count(started).await),
        (1, 4)
    );
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_chain_goes_through_the_queue_after_so_many_steps() {
    let world = World::create()
        .await
        .with_continuation(2)
        .leaving_dependents_to_claims();
    chain(&world, "builtin.noop").await;
    let task = world.submit("chain", json!({})).await;
    let worker = world.start(Handlers::new());

    world.claim().await;

    world.wait_for_complete(3).await;
    assert_eq!(world.ready_steps().await, 1);
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn without_continuation_every_step_goes_through_the_queue() {
    let world = World::create()
        .await
        .with_continuation(0)
        .leaving_dependents_to_claims();
    chain(&world, "builtin.noop").await;
    let task = world.submit("chain", json!({})).await;
    let worker = world.start(Handlers::new());

    world.claim().await;

    world.wait_for_complete(1).await;
    assert_eq!(world.ready_steps().await, 1);
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_that_follow_one_another_take_no_more_places_than_there_are() {
    const TASKS: i64 = 60;
    let mut world = World::create().await.with_continuation(ON);
    world.config.worker.concurrency = 3;
    chain(&world, "watched").await;
    for _ in 0..TASKS {
        world.submit("chain", json!({})).await;
    }
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let watched = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        move |_: Step| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, HandlerError>(())
            }
        }
    };
    let worker = world.start(Handlers::new().register("watched", watched));

    wait_until("all tasks are complete", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let complete = "select count(*) from tasker.tasks where state = 'complete'";
        world.count(complete).await == TASKS
    })
    .await;

    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_that_drains_ends_what_runs_and_starts_nothing_that_follows() {
    let world = World::create()
        .await
        .with_continuation(ON)
        .leaving_dependents_to_claims();
    chain(&world, "gate").await;
    let task = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;

    // The worker is told to stop before the first step ends.
    let mut drain = Box::pin(worker.drain());
    assert!((&mut drain).now_or_never().is_none());
    for _ in 0..4 {
        gate.open();
    }
    let drained = drain.await;

    assert_eq!((drained.interrupted, drained.is_complete), (0, true));
    let states = world.task(task).await.steps;
    let states = states.iter().map(|step| step.state).collect::<Vec<_>>();
    assert_eq!(states[..2], [StepState::Complete, StepState::Pending]);
    world.assert_sound().await;
}
