//! What becomes of steps that started so: their leases, and repeated reports.

use std::time::Duration;

use serde_json::json;
use tasker_shared::readiness;
use tasker_shared::steps::ReceivedStep;

use crate::support::{World, complete, retry};
use crate::{AMPLE, QUEUE, go_on, names, run_to_the_end, started, wide};

/// Seconds for which each message stays out of sight.
async fn leases(world: &mut World) -> Vec<f64> {
    let leases = "select array_agg(extract(epoch from vt - clock_timestamp())::float8)
        from pgmq.q_worker_test_queue";
    world.value(leases).await
}

#[tokio::test]
async fn a_step_that_starts_beside_another_has_a_lease_as_long_as_a_received_one() {
    // The lease, or the timeout and the grace in which its worker reports it.
    for (keys, longest) in [(json!({}), 30.0), (json!({ "timeout_ms": 5000 }), 6.0)] {
        let mut world = World::new().await;
        wide(&mut world, 3, &keys).await;
        world.submit("wide").await;
        let first = world.start_one().await;

        go_on(&mut world, &[complete(&first)], AMPLE).await;

        for left in leases(&mut world).await {
            assert!((1.0..=longest).contains(&left), "{left}");
        }
    }
}

#[tokio::test]
async fn a_step_that_started_beside_another_comes_back_when_its_worker_died() {
    let (mut world, task, first) = started(3).await;
    let started = go_on(&mut world, &[complete(&first)], AMPLE)
        .await
        .continued;
    assert!(world.receive().await.is_empty());
    world.expire_leases().await;
    let overdue = format!("select overdue from tasker.queue_gauges('{QUEUE}', 0, 10)");
    assert_eq!(world.value::<i32>(overdue).await, 3);

    let expired = world.receive().await;

    assert_eq!(names(&expired), names(&started));
    let mut all = expired.iter();
    assert!(all.all(|step| step.expired.as_deref() == Some("lease_expired") && step.attempt == 1));
    let retries: Vec<_> = expired.iter().map(retry).collect();
    world.report(&retries).await;
    let late: Vec<_> = started.iter().map(complete).collect();
    assert_eq!(go_on(&mut world, &late, AMPLE).await.stale, [0, 1, 2]);
    world.assert_healthy().await;
    world.advance(Duration::from_secs(2)).await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    world.claim().await;
    let again = world.receive().await;
    assert!(again.iter().all(|step| step.attempt == 2));
    run_to_the_end(&mut world, task, again).await;
}

#[tokio::test]
async fn a_repeated_report_tells_again_of_all_that_started_and_run() {
    let (mut world, task, first) = started(4).await;
    let reports = [complete(&first)];
    let started = go_on(&mut world, &reports, 2).await.continued;
    let told = |steps: &[ReceivedStep]| {
        let steps = steps.iter();
        let mut told: Vec<_> = steps.map(|it| (it.id, it.receipt, it.msg_id)).collect();
        told.sort_unstable();
        told
    };

    let again = go_on(&mut world, &reports, AMPLE).await;

    assert_eq!((again.stale.as_slice(), again.enqueued), (&[0][..], 0));
    assert_eq!(told(&again.continued), told(&started));
    world.assert_healthy().await;
    go_on(&mut world, &[complete(&started[0])], 0).await;
    let later = go_on(&mut world, &reports, AMPLE).await;
    assert_eq!(told(&later.continued), told(&started[1..]), "one has ended");
    // What was received from the queue was told of by a receipt.
    let mut held = world.receive().await;
    let later = go_on(&mut world, &reports, AMPLE).await;
    assert_eq!(told(&later.continued), told(&started[1..]));
    held.extend_from_slice(&started[1..]);
    run_to_the_end(&mut world, task, held).await;
}
