//! A clock of the server that jumps forward, beyond the leases of workers that live: no step is lost,
//! none completes twice, and no error reports a timeout that was none.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use serde_json::json;
use tasker_shared::clock;
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::{Gate, World};

/// The timeout of the step is half an hour.
const GATE: &str = "  - { name: only, handler: gate, timeout_ms: 1800000 }";
const WITHIN_THE_TIMEOUT: Duration = Duration::from_mins(10);
const BEYOND_THE_TIMEOUT: Duration = Duration::from_hours(1);
/// Less than a jump, and so long that no heartbeat comes in between.
const LEASE_SECONDS: f64 = 500.0;

/// Sets the clock forward: what goes by the real time gets that much older.
async fn jump(world: &World, by: Duration) {
    let mut transaction = world.pool.begin().await.unwrap();
    clock::set_ahead(&mut transaction, by).await.unwrap();
    for older in [
        "update pgmq.q_worker_shop_queue set vt = vt - $1",
        "update tasker.processes set started_at = started_at - $1, last_seen_at = last_seen_at - $1",
    ] {
        sqlx::query(older)
            .bind(by)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_worker_goes_on_with_what_it_runs_when_the_clock_jumps_beyond_its_leases() {
    const STEPS: usize = 5;
    for by in [WITHIN_THE_TIMEOUT, BEYOND_THE_TIMEOUT] {
        let world = World::create().await.with_lease(LEASE_SECONDS);
        world.template("one", GATE).await;
        let (tasks, gate, worker) = world.start_gated_tasks(STEPS).await;

        jump(&world, by).await;
        wait_until(
            "the worker has their leases again",
            WAIT_TIMEOUT,
            async || {
                let leased = "select count(*) from pgmq.q_worker_shop_queue
                 where vt > clock_timestamp() and read_ct > 1";
                world.count(leased).await == i64::try_from(STEPS).unwrap()
            },
        )
        .await;
        for _ in 0..STEPS {
            gate.open();
        }

        for task in tasks {
            let detail = world.run_to(task, TaskState::Complete).await;
            assert_eq!(detail.steps[0].result, Some(json!(1)), "{by:?}");
        }
        worker.drain().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn what_another_worker_finds_after_a_jump_of_the_clock_was_lost_and_not_too_long() {
    for by in [WITHIN_THE_TIMEOUT, BEYOND_THE_TIMEOUT] {
        let mut world = World::create().await.with_lease(LEASE_SECONDS);
        // With its one place taken, the first worker does not receive its own message again.
        world.config.worker.concurrency = 1;
        world.template("one", GATE).await;
        let task = world.submit("one", json!({})).await;
        let (late, current) = (Gate::new(), Gate::new());
        let first = world.start_named("first", late.handlers());
        world.orchestrate().await;
        late.wait_for_start().await;

        jump(&world, by).await;
        let second = world.start_named("second", current.handlers());
        world.run_attempt(task, 2).await;
        current.wait_for_start().await;

        let lost = "select count(*) from tasker.step_transitions
             where error ->> 'kind' = 'lease_expired' and actor = 'second'";
        assert_eq!(world.count(lost).await, 1, "{by:?}");
        late.open();
        assert!(first.drain().await.is_complete, "its outcome was reported");
        current.open();
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].result, Some(json!(2)), "{by:?}");
        second.drain().await;
        world.assert_sound().await;
    }
}
