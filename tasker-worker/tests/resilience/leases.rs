//! Leases that are kept while a call fails, and after the handler has ended.

use std::time::{Duration, Instant};

use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::world::World;
use crate::{wait_until_failing, wait_until_healthy};

#[tokio::test]
async fn a_heartbeat_that_failed_is_repeated_before_the_next_is_due() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with_lease(24.0);
    let (task, gate, worker) = world.start_gated().await;
    let lease_end = "select extract(epoch from max(vt))::bigint from pgmq.q_worker_shop_queue";
    let first = world.count(lease_end).await;

    proxy.cut();
    wait_until_failing(&worker, "extend leases").await;
    let failed = Instant::now();
    proxy.resume();
    wait_until("the lease is extended", WAIT_TIMEOUT, async || {
        world.count(lease_end).await > first
    })
    .await;

    let waited = failed.elapsed();
    assert!(
        waited < Duration::from_secs(6),
        "the next one was due in 8 s: {waited:?}"
    );
    gate.open();
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn leases_are_kept_while_the_worker_drains() {
    let world = World::create().await.with_lease(1.0);
    let (task, gate, worker) = world.start_gated().await;

    let drained = tokio::spawn(worker.drain());
    tokio::task::yield_now().await;
    // One heartbeat may have been under way already.
    for _ in 0..2 {
        world.wait_for_extension().await;
    }

    gate.open();
    assert!(drained.await.unwrap().is_complete);
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_lease_is_kept_until_the_outcome_is_recorded() {
    let world = World::create().await.with_lease(1.0);
    let (task, gate, worker) = world.start_gated().await;
    let operator = world.hold(task).await;

    gate.open();
    wait_until("the outcome waits", WAIT_TIMEOUT, async || {
        worker.health().outcomes_waiting == 1
    })
    .await;
    for _ in 0..2 {
        world.wait_for_extension().await;
    }
    // Nobody found the message, not even this worker, which would extend the lease by that too.
    let reads = "select read_ct::bigint from pgmq.q_worker_shop_queue";
    assert_eq!(world.count(reads).await, 1);
    operator.rollback().await.unwrap();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}
