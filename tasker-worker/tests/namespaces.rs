//! Namespaces that come and go while a worker runs.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;
use world::World;

/// Connections whose last statement was to listen for the queue, or to do so no longer.
const LISTENS: &str = "select count(*) from pg_stat_activity \
    where datname = current_database() and query = 'LISTEN \"pgmq.q_worker_gone_queue.INSERT\"'";
const LISTENS_NO_LONGER: &str = "select count(*) from pg_stat_activity \
    where datname = current_database() and query = 'UNLISTEN \"pgmq.q_worker_gone_queue.INSERT\"'";

#[tokio::test]
async fn a_worker_listens_no_longer_for_a_namespace_that_is_gone() {
    let mut world = World::create().await;
    // So that nothing else is the last statement.
    world.config.event_systems.listener.heartbeat_interval = Duration::from_hours(1);
    let worker = world.start(Handlers::new());
    sqlx::query("insert into tasker.namespaces (namespace) values ('gone')")
        .execute(&world.pool)
        .await
        .unwrap();
    wait_until("the worker listens for it", WAIT_TIMEOUT, async || {
        world.count(LISTENS).await == 1
    })
    .await;

    sqlx::query("delete from tasker.namespaces where namespace = 'gone'")
        .execute(&world.pool)
        .await
        .unwrap();

    wait_until("the worker listens no longer", WAIT_TIMEOUT, async || {
        world.count(LISTENS_NO_LONGER).await == 1
    })
    .await;
    worker.drain().await;
}
