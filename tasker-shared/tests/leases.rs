//! How long a step stays in a worker's hands, and which steps a worker is given.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{LEASE, SINGLE, WORKER, World, complete, new_task};
use tasker_shared::readiness;
use tasker_shared::steps::{self, ReceivedStep, StepOutcome};
use tasker_shared::tasks;

/// What a worker may report after a step's timeout.
const GRACE: f64 = 1.0;
/// The time that a test may lose between two statements on a busy machine.
const SLACK: f64 = 20.0;

/// A running step with a timeout.
async fn with_a_timeout(seconds: u64) -> (World, ReceivedStep) {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "t", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h", "timeout_ms": seconds * 1000 }],
        }))
        .await;
    world.submit("t").await;
    let step = world.start_one().await;
    (world, step)
}

/// Seconds until the only message can be received again.
async fn lease(world: &mut World) -> f64 {
    world
        .value(
            "select extract(epoch from vt - clock_timestamp())::float8
            from pgmq.q_worker_test_queue",
        )
        .await
}

fn assert_about(actual: f64, expected: f64) {
    let lost = expected - actual;
    assert!(
        (0.0..SLACK).contains(&lost),
        "{actual}, expected {expected}"
    );
}

async fn extend(world: &mut World, worker: &str, step: &ReceivedStep) -> Vec<String> {
    let running = [(step.id, step.attempt)];
    let lost = steps::extend_leases(&mut world.connection, worker, &running, 3 * LEASE)
        .await
        .unwrap();
    lost.into_iter().map(|lost| lost.reason).collect()
}

#[tokio::test]
async fn a_step_is_leased_for_the_time_its_worker_asked_for() {
    let (mut world, _) = with_a_timeout(3600).await;
    assert_about(lease(&mut world).await, LEASE.as_secs_f64());
}

#[tokio::test]
async fn a_step_with_a_shorter_timeout_comes_back_when_that_is_over() {
    let (mut world, _) = with_a_timeout(25).await;
    assert_about(lease(&mut world).await, 25.0 + GRACE);
}

#[tokio::test]
async fn a_lease_is_extended_from_the_moment_on() {
    let (mut world, step) = with_a_timeout(3600).await;

    assert!(extend(&mut world, WORKER, &step).await.is_empty());

    assert_about(lease(&mut world).await, 3.0 * LEASE.as_secs_f64());
}

#[tokio::test]
async fn a_lease_is_not_extended_beyond_the_end_of_the_timeout() {
    let (mut world, step) = with_a_timeout(60).await;
    world.advance(Duration::from_secs(20)).await;

    assert!(extend(&mut world, WORKER, &step).await.is_empty());

    assert_about(lease(&mut world).await, 40.0 + GRACE);
}

#[tokio::test]
async fn a_lease_is_not_extended_after_the_timeout() {
    let (mut world, step) = with_a_timeout(40).await;
    world.advance(Duration::from_secs(50)).await;

    assert!(extend(&mut world, WORKER, &step).await.is_empty());

    assert_about(lease(&mut world).await, LEASE.as_secs_f64());
}

#[tokio::test]
async fn a_lease_belongs_to_its_worker_and_attempt() {
    let (mut world, step) = with_a_timeout(3600).await;
    let mut earlier = step.clone();
    earlier.attempt -= 1;

    assert_eq!(extend(&mut world, "another", &step).await, ["stale"]);
    assert_eq!(extend(&mut world, WORKER, &earlier).await, ["stale"]);
    assert_about(lease(&mut world).await, LEASE.as_secs_f64());
    world.report(&[complete(&step)]).await;

    assert_eq!(extend(&mut world, WORKER, &step).await, ["stale"]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn each_lease_of_a_batch_is_judged_by_itself() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    for _ in 0..3 {
        world.submit("t").await;
    }
    world.claim().await;
    let running = world.receive().await;
    world.report(&[complete(&running[1])]).await;

    let all = running
        .iter()
        .map(|step| (step.id, step.attempt))
        .collect::<Vec<_>>();
    let lost = steps::extend_leases(&mut world.connection, WORKER, &all, LEASE)
        .await
        .unwrap();

    let lost = lost.iter().map(|lost| (lost.index, lost.reason.as_str()));
    assert_eq!(lost.collect::<Vec<_>>(), [(1, "stale")]);
}

#[tokio::test]
async fn what_comes_back_tells_a_timeout_from_the_death_of_its_worker() {
    for (waited, lives, kind) in [
        (39, true, "lease_expired"),
        (40, true, "timeout"),
        (40, false, "lease_expired"),
    ] {
        let (mut world, _) = with_a_timeout(40).await;
        let seen = if lives { "0 s" } else { "40 s" };
        world
            .run(format!(
                "insert into tasker.processes (registration_uuid, started_at, last_seen_at, pid,
                   places, taken, identity, role, host, version, mode, namespaces, handlers)
                 values (gen_random_uuid(), now(), now() - interval '{seen}', 1, 1, 1, '{WORKER}',
                   'worker', 'h', '1', 'Hybrid', '{{}}', '{{}}');
                 select set_config('tasker.now', started_at::text, false) from tasker.steps"
            ))
            .await;
        world.advance(Duration::from_secs(waited)).await;
        world.expire_leases().await;

        let back = world.receive().await.remove(0);

        assert_eq!(back.expired.as_deref(), Some(kind), "{waited} s, {lives}");
        assert_eq!(back.attempt, 1);
    }
}

#[tokio::test]
async fn what_came_back_is_leased_again_so_that_one_worker_reports_it() {
    let (mut world, _) = with_a_timeout(3600).await;
    world.expire_leases().await;
    assert_eq!(world.receive().await.len(), 1);

    assert!(world.receive().await.is_empty());
    assert_about(lease(&mut world).await, LEASE.as_secs_f64());
}

#[tokio::test]
async fn namespaces_are_received_from_in_the_order_they_are_named() {
    let mut world = World::new().await;
    for namespace in ["a", "b", "c"] {
        world
            .apply(json!({
                "namespace": namespace, "name": "t", "version": "1.0.0",
                "steps": [{ "name": "only", "handler": "h" }],
            }))
            .await;
        let mut task = new_task("t");
        task.namespace = namespace.into();
        tasks::submit_tasks(&mut world.connection, &vec![task; 2])
            .await
            .unwrap();
    }
    world.claim().await;
    let namespaces = ["c", "absent", "a", "b"].map(str::to_owned);

    let received = steps::receive_steps(
        &mut world.connection,
        WORKER,
        &steps::Demand::of_any(&namespaces, 5, LEASE),
    )
    .await
    .unwrap()
    .steps;
    let rest = steps::receive_steps(
        &mut world.connection,
        WORKER,
        &steps::Demand::of_any(&namespaces, 5, LEASE),
    )
    .await
    .unwrap()
    .steps;

    let from = |steps: &[ReceivedStep]| {
        let namespaces = steps.iter().map(|step| step.namespace.clone());
        namespaces.collect::<Vec<_>>()
    };
    assert_eq!(from(&received), ["c", "c", "a", "a", "b"]);
    assert_eq!(from(&rest), ["b"]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_message_that_stands_for_no_step_is_thrown_away() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    world.submit("t").await;
    world.claim().await;
    world
        .run("select pgmq.send('worker_test_queue', message) from pgmq.q_worker_test_queue")
        .await;

    let received = world.receive().await;

    assert_eq!(received.len(), 1);
    let messages: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!(messages, 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_retry_may_be_put_off_for_longer_than_time_can_tell() {
    let (mut world, step) = with_a_timeout(3600).await;
    let outcome = StepOutcome::Retry {
        error: support::error(),
        after: Some(Duration::MAX),
    };

    let reported = world.report(&[support::report(&step, outcome)]).await;

    assert_eq!(reported.stale, Vec::<usize>::new());
    world.assert_healthy().await;
    let timers = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(timers.fired, 0);
    assert!(timers.next_due_in.unwrap() > Duration::from_hours(24));
}
