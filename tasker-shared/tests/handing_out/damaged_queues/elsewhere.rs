//! Everything that workers and orchestrators call goes on in other namespaces.

use std::time::Duration;

use tasker_shared::processes::steps_without_worker;
use tasker_shared::queues::{Guard, list_queues};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Demand};

use super::damage::{ALL, Damage};
use super::{claim, receive_both, run_to_the_end, running, submit, world};
use crate::support::{LEASE, WORKER, complete};
use crate::{OTHER, receive};

fn troubled(troubled: &[(String, String)]) -> Vec<&str> {
    assert!(troubled.iter().all(|(_, problem)| !problem.is_empty()));
    let namespaces = troubled.iter().map(|(namespace, _)| namespace.as_str());
    namespaces.collect()
}

#[tokio::test]
async fn claims_and_receipts_go_on_elsewhere_and_tell_of_it() {
    let guards = [Guard::AfterFailure, Guard::FromStart];
    for (damage, guard) in ALL
        .iter()
        .flat_map(|damage| guards.map(|guard| (damage, guard)))
    {
        let mut world = world().await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        submit(&mut world, "single", 2).await;
        let holder = damage.inflict(&mut world).await;

        let claimed = claim(&mut world, guard).await;
        assert_eq!(troubled(&claimed.troubled), [OTHER], "{damage:?}");
        assert_eq!(claimed.tasks.len(), 2, "{damage:?}");
        assert!(claimed.tasks.iter().all(|task| task.namespace == "test"));
        let received = receive_both(&mut world, 100, guard).await;
        assert_eq!(troubled(&received.troubled), [OTHER], "{damage:?}");
        assert_eq!(received.steps.len(), 5, "{damage:?}");
        let any = [OTHER, "test"].map(str::to_owned);
        let any = Demand::of_any(&any, 10, LEASE);
        let nothing = receive(&mut world.connection, WORKER, &any).await;
        assert_eq!(troubled(&nothing.troubled), [OTHER], "{damage:?}");

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn outcomes_of_steps_whose_queue_is_damaged_are_recorded() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "linear", 1).await;
        let holder = damage.inflict(&mut world).await;

        let reports: Vec<_> = steps.iter().map(complete).collect();
        let reported = world.report_as(WORKER, &reports).await;

        assert_eq!(reported.stale, Vec::<usize>::new(), "{damage:?}");
        assert_eq!(reported.announcements.ready.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn chains_go_on_in_both_namespaces_where_several_priorities_are_in_use() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "linear", 1).await;
        world
            .run("insert into tasker.priorities_in_use values (1), (2)")
            .await;
        let holder = damage.inflict(&mut world).await;

        let reports: Vec<_> = steps.iter().map(complete).collect();
        let reported = world.continue_as(WORKER, &reports, &["a"]).await;
        assert_eq!(reported.stale, Vec::<usize>::new(), "{damage:?}");
        assert_eq!(reported.continued.len(), 2, "{damage:?}");
        let reports: Vec<_> = reported.continued.iter().map(complete).collect();
        let reported = world.continue_as(WORKER, &reports, &["a"]).await;
        assert_eq!(reported.announcements.finished.len(), 2, "{damage:?}");

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn steps_are_given_back_and_leases_extended_where_that_is_possible() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "single", 2).await;
        let holder = damage.inflict(&mut world).await;

        let held: Vec<_> = steps.iter().map(|step| (step.id, step.receipt)).collect();
        let lost = steps::extend_leases(&mut world.connection, WORKER, &held, LEASE)
            .await
            .unwrap();
        let failed = lost
            .iter()
            .filter(|lost| lost.reason.starts_with("failed: "));
        let failed = failed.map(|lost| steps[lost.index].namespace.as_str());
        assert_eq!(failed.collect::<Vec<_>>(), [OTHER, OTHER], "{damage:?}");
        assert_eq!(lost.len(), 2, "{damage:?}");
        let steps: Vec<_> = steps.iter().collect();
        let released = world.release_as(WORKER, &steps).await;
        assert_eq!(released.stale, Vec::<usize>::new(), "{damage:?}");

        let received = receive_both(&mut world, 100, Guard::AfterFailure).await;
        assert_eq!(received.steps.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn timers_and_what_tends_and_lists_queues_go_on_elsewhere() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "single", 1).await;
        let retries: Vec<_> = steps.iter().map(crate::support::retry).collect();
        world.report(&retries).await;
        submit(&mut world, "single", 1).await;
        world.claim().await;
        world
            .run(
                "update tasker.timers set due_at = now() - interval '1 s';
                 select pgmq.send('worker_test_queue', '{}'), pgmq.send('worker_other_queue', '{}')",
            )
            .await;
        let holder = damage.inflict(&mut world).await;

        let timers = readiness::fire_due_timers(&mut world.connection, 10)
            .await
            .unwrap();
        assert_eq!(timers.fired, 2, "{damage:?}");
        assert_eq!(timers.woken_queues, ["worker_test_queue"], "{damage:?}");
        let tended = world.tend_queues().await;
        assert_eq!(tended, 1, "{damage:?}");
        let listed: String = world
            .value(
                "select string_agg(format('%s %s', namespace, problem is null), ', '
                   order by namespace)
                 from tasker.list_queues()",
            )
            .await;
        assert_eq!(listed, "other f, test t", "{damage:?}");

        damage.mend(&mut world, holder).await;
        world.tend_queues().await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn lists_wait_for_no_locked_queue() {
    let mut world = world().await;
    submit(&mut world, "single", 1).await;
    world.claim().await;
    let holder = Damage::Locked.inflict(&mut world).await;
    world.run("reset lock_timeout").await;

    let listed = list_queues(&mut world.connection).await.unwrap();
    let unread = listed.iter().filter(|queue| queue.problem.is_some());
    let unread: Vec<_> = unread.map(|queue| queue.namespace.as_str()).collect();
    assert_eq!(unread, [OTHER]);
    let waiting = steps_without_worker(&mut world.connection, &[])
        .await
        .unwrap();
    let waiting: Vec<_> = waiting.iter().map(|steps| &*steps.namespace).collect();
    assert_eq!(waiting, ["test"]);
    assert_eq!(world.value::<String>("show lock_timeout").await, "0");
    holder.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn timers_come_back_soon_for_a_locked_queue_and_leave_the_session_as_it_was() {
    let mut world = world().await;
    let holder = Damage::Locked.inflict(&mut world).await;
    world.run("begin").await;

    let timers = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();

    assert_eq!(timers.next_due_in, Some(Duration::from_secs(5)));
    assert_eq!(world.value::<String>("show lock_timeout").await, "20ms");
    holder.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn thousands_of_ready_steps_whose_queue_is_damaged_stand_in_nobodys_way() {
    for damage in [Damage::Dropped, Damage::Locked] {
        let mut world = world().await;
        world
            .run(format!(
                "select tasker.submit_task('{OTHER}', 'single', p_priority => 9)
                 from generate_series(1, 1500)"
            ))
            .await;
        let tasks = world.submit_to("test", "single", 5).await;
        let holder = damage.inflict(&mut world).await;

        for namespaces in [&[][..], &[OTHER.to_owned(), "test".to_owned()]] {
            world.run("begin").await;
            let claimed = readiness::claim_ready_tasks_of(
                &mut world.connection,
                "o",
                100,
                namespaces,
                Guard::FromStart,
            )
            .await
            .unwrap();
            assert_eq!(troubled(&claimed.troubled), [OTHER]);
            let claimed: Vec<_> = claimed.tasks.iter().map(|task| task.task_uuid).collect();
            assert_eq!(claimed, tasks);
            world.run("rollback").await;
        }

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}
