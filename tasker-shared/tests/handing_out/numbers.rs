//! Numbers and leases that have to be exact.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tasker_shared::steps;

use crate::support::{LEASE, SINGLE, WORKER, World, complete};

type Time = DateTime<Utc>;

const REWRITE: &str = "select tasker.rewrite_table('pgmq.q_worker_test_queue') \
    and tasker.rewrite_table('tasker.ready_steps')";

async fn clock(world: &mut World) -> Time {
    world.value("select clock_timestamp()").await
}

/// The end of the only lease, which was given between two times, is as far from them as it is long.
async fn assert_lease(world: &mut World, after: Time, lease: Duration) {
    let before = clock(world).await;
    let end: Time = world.value("select vt from pgmq.q_worker_test_queue").await;
    assert!(
        (after + lease..=before + lease).contains(&end),
        "{after} {end} {before}"
    );
}

#[tokio::test]
async fn a_lease_is_exactly_as_long_as_asked_for() {
    let mut world = World::new().await;
    world
        .apply(serde_json::json!({
            "namespace": "test", "name": "long", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "a", "timeout_ms": 3_600_000 }],
        }))
        .await;
    world.enqueue("long", 0, 1).await;

    let start = clock(&mut world).await;
    let step = world.receive_for(WORKER, &["a"], 1).await.remove(0);
    assert_lease(&mut world, start, LEASE).await;

    for lease in [LEASE, 4 * LEASE] {
        let start = clock(&mut world).await;
        let held = [(step.id, step.receipt)];
        let lost = steps::extend_leases(&mut world.connection, WORKER, &held, lease)
            .await
            .unwrap();
        assert_eq!(lost, []);
        assert_lease(&mut world, start, lease).await;
    }
}

#[tokio::test]
async fn messages_are_numbered_on_after_their_queue_was_rewritten() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.enqueue("single", 0, 5).await;
    let last = "select max(msg_id) from pgmq.q_worker_test_queue";
    let before: i64 = world.value(last).await;
    let received = world.receive_for(WORKER, &["builtin.noop"], 5).await;
    let reports: Vec<_> = received.iter().map(complete).collect();
    world.report(&reports[1..]).await;

    assert!(world.value::<bool>(REWRITE).await);
    world.enqueue("single", 0, 1).await;

    assert!(world.value::<i64>(last).await > before);
    world.report(&reports[..1]).await;
    assert_eq!(world.run_all().await, ["only"]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_is_ready_keeps_its_turn_after_its_table_was_rewritten() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(world.submit("single").await);
    }

    assert!(world.value::<bool>(REWRITE).await);
    for _ in 0..3 {
        expected.push(world.submit("single").await);
    }

    let claimed = world.claim().await;
    let claimed: Vec<_> = claimed.iter().map(|task| task.task_uuid).collect();
    assert_eq!(claimed, expected);
    assert_eq!(world.run_all().await.len(), 6);
    world.assert_healthy().await;
}
