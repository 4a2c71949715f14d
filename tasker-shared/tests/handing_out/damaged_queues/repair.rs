//! Queues that are repaired or filled again.

use tasker_shared::queues::Guard;

use super::damage::{ALL, Damage};
use super::{claim, receive_both, run_to_the_end, running, submit, world};
use crate::support::complete;

#[tokio::test]
async fn a_repaired_queue_has_its_index_and_numbers_that_nobody_has() {
    for damage in [Damage::Dropped, Damage::Renamed] {
        let mut world = world().await;
        let held = running(&mut world, "single", 3).await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        damage.inflict(&mut world).await;

        damage.mend(&mut world, None).await;

        let indexed: bool = world
            .value(
                "select exists (
                   select from pg_indexes
                   where schemaname = 'pgmq' and tablename = 'q_worker_other_queue'
                     and indexdef like '%handler%')",
            )
            .await;
        assert!(indexed, "{damage:?}");
        world.assert_healthy().await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        world.assert_healthy().await;
        let reports: Vec<_> = held.iter().map(complete).collect();
        assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_refilled_after_a_crash_keeps_no_other_from_it() {
    for damage in ALL {
        let mut world = world().await;
        world.run("select tasker.use_unlogged_queues(true)").await;
        submit(&mut world, "single", 2).await;
        world.claim().await;
        world
            .run(
                "truncate pgmq.q_worker_test_queue, pgmq.q_worker_other_queue,
                 tasker.queues_intact",
            )
            .await;
        let holder = damage.inflict(&mut world).await;

        claim(&mut world, Guard::AfterFailure).await;
        let received = receive_both(&mut world, 100, Guard::AfterFailure).await;

        assert_eq!(received.steps.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}
