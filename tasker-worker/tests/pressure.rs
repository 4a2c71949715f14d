//! A worker that cannot take more receives less, and leaves the rest to others.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::json;
use tasker_shared::config::DeploymentMode;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};
use world::{Gate, World};

const STARTED_BY_FIRST: &str =
    "select count(*) from tasker.steps where worker = 'worker-1' and state = 'in_progress'";
const VISIBLE: &str = "select count(*) from pgmq.q_worker_shop_queue where vt <= clock_timestamp()";
const COMPLETE: &str = "select count(*) from tasker.tasks where state = 'complete'";

async fn submit(world: &World, tasks: usize) {
    for _ in 0..tasks {
        world.submit("one", json!({})).await;
    }
    world.claim().await;
}

async fn wait_for_count(world: &World, query: &'static str, expected: i64) {
    let what = format!("{expected} are found by {query}");
    wait_until(&what, WAIT_TIMEOUT, async || {
        world.count(query).await == expected
    })
    .await;
}

fn instantly() -> Handlers {
    Handlers::new().register("gate", async |_: Step| Ok::<_, HandlerError>(()))
}

#[tokio::test]
async fn a_receipt_that_brings_all_it_may_is_followed_by_another() {
    let mut world = World::create()
        .await
        .with_mode(DeploymentMode::EventDrivenOnly);
    world
        .template(
            "one",
            "  - { name: only, handler: gate, timeout_ms: 3600000 }",
        )
        .await;
    submit(&world, 9).await;
    let gate = Gate::new();
    world.config.worker.concurrency = 20;
    world.config.worker.receive_batch_size = 2;

    // It looks when it starts and when it listens; no place becomes free and nothing is announced.
    let worker = world.start(gate.handlers());
    for _ in 0..9 {
        gate.wait_for_start().await;
    }

    for _ in 0..9 {
        gate.open();
    }
    wait_for_count(&world, COMPLETE, 9).await;
    worker.drain().await;
    world.assert_sound().await;
}

/// Waits until a worker has looked for steps this many times, whatever made it look.
async fn wait_for_looks(world: &World, looks: usize) {
    let mut seen = HashSet::new();
    wait_until("the worker has looked again", WAIT_TIMEOUT, async || {
        let began: Vec<DateTime<Utc>> = sqlx::query_scalar(
            "select query_start from pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and query like '%tasker.receive_steps%'",
        )
        .fetch_all(&world.pool)
        .await
        .unwrap();
        seen.extend(began);
        seen.len() >= looks
    })
    .await;
}

#[tokio::test]
async fn what_a_receipt_had_to_leave_out_is_looked_for_again() {
    for lock in [
        "lock table pgmq.q_worker_shop_queue in access exclusive mode",
        "select from tasker.steps for update",
    ] {
        let world = World::create()
            .await
            .with_mode(DeploymentMode::EventDrivenOnly);
        world
            .template("one", "  - { name: only, handler: gate }")
            .await;
        submit(&world, 1).await;
        let mut other = world.pool.begin().await.unwrap();
        sqlx::query(lock).execute(&mut *other).await.unwrap();

        let worker = world.start(instantly());
        // It looks when it starts and when it listens; nothing else is announced.
        wait_for_looks(&world, 4).await;
        other.rollback().await.unwrap();

        wait_for_count(&world, COMPLETE, 1).await;
        worker.drain().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn a_worker_whose_places_are_taken_leaves_what_waits_to_others() {
    let mut world = World::create().await;
    world
        .template(
            "one",
            "  - { name: only, handler: gate, timeout_ms: 3600000 }",
        )
        .await;
    submit(&world, 10).await;
    let gate = Gate::new();
    world.config.worker.concurrency = 2;
    let first = world.start_named("worker-1", gate.handlers());
    gate.wait_for_start().await;
    gate.wait_for_start().await;
    // What comes now is announced to a worker that has no place for it.
    submit(&world, 1).await;
    assert_eq!(world.count(VISIBLE).await, 9);

    let second = world.start_named("worker-2", instantly());
    wait_for_count(&world, COMPLETE, 9).await;
    assert_eq!(world.count(STARTED_BY_FIRST).await, 2);

    gate.open();
    gate.open();
    wait_for_count(&world, COMPLETE, 11).await;
    first.drain().await;
    second.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_whose_outcomes_are_not_recorded_receives_only_what_it_has_room_for() {
    const ROOM: usize = 1024;
    let mut world = World::create().await;
    world
        .template("one", "  - { name: only, handler: gate }")
        .await;
    submit(&world, 1).await;
    let mut locked = world.pool.begin().await.unwrap();
    sqlx::query("select from tasker.tasks for update")
        .execute(&mut *locked)
        .await
        .unwrap();
    let roomy = world.config.clone();
    world.config.worker.concurrency = 2;
    world.config.worker.reporters = 1;
    world.config.worker.report_batch_size = 1;
    let subscribers = &mut world.config.mpsc_channels.worker.event_subscribers;
    subscribers.result_buffer_size = 1;
    subscribers.result_buffer_bytes = ROOM;
    let large = Handlers::new().register("gate", async |_: Step| {
        Ok::<_, HandlerError>("x".repeat(ROOM))
    });
    let first = world.start_named("worker-1", large);
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
         and wait_event_type = 'Lock' and query like '%complete_%step%'";
    wait_for_count(&world, waiting, 1).await;
    wait_for_count(&world, waiting, 0).await;
    submit(&world, 20).await;
    // The reporter keeps one, one waits in the channel, and two keep their places until it has room.
    wait_for_count(&world, STARTED_BY_FIRST, 4).await;

    world.config = roomy;
    let second = world.start_named("worker-2", instantly());
    wait_for_count(&world, COMPLETE, 17).await;
    assert_eq!(world.count(STARTED_BY_FIRST).await, 4);

    locked.rollback().await.unwrap();
    wait_for_count(&world, COMPLETE, 21).await;
    first.drain().await;
    second.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_whose_work_outlasts_its_attempt_keeps_its_place() {
    let mut world = World::create().await;
    world
        .template("one", "  - { name: only, handler: gate }")
        .await;
    world.config.worker.concurrency = 1;
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let keeping = Handlers::new().register("gate", move |step: Step| {
        *keep.lock().unwrap() = Some(step.keep_place());
        async { Ok::<_, HandlerError>(()) }
    });
    let full = world.start(keeping);
    submit(&world, 1).await;
    wait_for_count(&world, COMPLETE, 1).await;

    submit(&world, 50).await;
    let other = world.start_named("worker-2", instantly());
    wait_for_count(&world, COMPLETE, 51).await;
    let ran = "select count(*) from tasker.steps where worker = 'worker-1'";
    assert_eq!(world.count(ran).await, 1);

    other.drain().await;
    drop(kept.lock().unwrap().take());
    submit(&world, 1).await;
    wait_for_count(&world, ran, 2).await;
    wait_for_count(&world, COMPLETE, 52).await;
    full.drain().await;
    world.assert_sound().await;
}
