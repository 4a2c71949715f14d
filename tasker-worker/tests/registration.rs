//! What a worker reports about itself, from its start until it has left.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use serde_json::json;
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_for};
use tasker_worker::Handlers;
use tokio::time::timeout;
use world::{Gate, World};

/// Longer than a worker without steps may take to drain, whatever the database does, and shorter
/// than a call of a database that keeps silent.
const AT_ONCE: Duration = Duration::from_secs(30);

async fn listed(world: &World) -> Vec<ProcessSummary> {
    let mut connection = world.pool.acquire().await.unwrap();
    list_processes(&mut connection).await.unwrap()
}

/// The only row, once it is as it should be.
async fn row(
    world: &World,
    what: &str,
    is_right: impl Fn(&ProcessSummary) -> bool,
) -> ProcessSummary {
    wait_for(what, WAIT_TIMEOUT, async || {
        let mut rows = listed(world).await;
        let row = rows.pop().filter(&is_right);
        row.filter(|_| rows.is_empty())
    })
    .await
}

#[tokio::test]
async fn a_worker_tells_what_it_knows_that_it_drains_and_that_it_leaves() {
    let mut world = World::create().await.with_lease(3600.0);
    world.config.worker.concurrency = 7;
    world.config.worker.namespaces = vec!["shop".to_owned()];
    world
        .template("one", "  - { name: only, handler: gate }")
        .await;
    world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    let told = row(&world, "the worker has told of itself", |_| true).await;
    assert_eq!((&*told.identity, &*told.role), ("worker-1", "worker"));
    assert_eq!(told.namespaces, ["shop"]);
    assert_eq!(told.mode, "Hybrid");
    assert!(told.handlers.contains(&"gate".to_owned()));
    assert!(told.handlers.contains(&"builtin.noop".to_owned()));
    assert_eq!(told.places, Some(7));
    world.orchestrate().await;
    gate.wait_for_start().await;

    let drained = tokio::spawn(worker.drain());
    let drains = row(&world, "the worker drains", |row| row.places == Some(0)).await;
    assert_eq!(drains.taken, Some(1));
    gate.open();

    assert!(drained.await.unwrap().is_complete);
    assert!(listed(&world).await.is_empty());
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_that_was_forgotten_tells_of_itself_again() {
    let world = World::create().await;
    let worker = world.start(Handlers::new());
    let before = row(&world, "the worker has told of itself", |_| true).await;
    sqlx::query("delete from tasker.processes")
        .execute(&world.pool)
        .await
        .unwrap();

    let after = row(&world, "the worker has told again", |_| true).await;

    assert!(after.last_seen_at > before.last_seen_at);
    let apart = (after.started_at - before.started_at).abs();
    assert!(
        apart.num_seconds() < 1,
        "it started once: {before:?} {after:?}"
    );
    worker.drain().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_written_holds_up_neither_steps_nor_the_end() {
    let world = World::create().await;
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table tasker.processes in exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();

    let worker = world.start(Handlers::new());
    let task = world.submit("one", json!({})).await;
    world.run_to(task, TaskState::Complete).await;
    let drained = timeout(AT_ONCE, worker.drain()).await.unwrap();

    assert!(drained.is_complete);
    holder.rollback().await.unwrap();
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_whose_database_keeps_silent_leaves_without_taking_its_row_away() {
    let (world, proxy) = World::behind_proxy().await;
    let worker = world.start(Handlers::new());
    row(&world, "the worker has told of itself", |_| true).await;

    proxy.blackhole();
    timeout(AT_ONCE, worker.drain()).await.unwrap();

    // Others see that it is silent, and forget it.
    assert_eq!(listed(&world).await.len(), 1);
}
