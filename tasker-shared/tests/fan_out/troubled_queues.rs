//! Queues that take no message, or have lost those that they had: outcomes are recorded all the same.

use tasker_shared::error::Error;
use tasker_shared::state::StepState;
use tasker_shared::steps::Locks;

use crate::support::complete;
use crate::{AMPLE, MESSAGES, go_on, run_to_the_end, started, try_report};

#[tokio::test]
async fn what_a_queue_does_not_take_waits_for_a_claim() {
    // The disk is full, and a number of a message that is taken.
    for sqlstate in ["53100", "23505"] {
        let (mut world, task, first) = started(3).await;
        world
            .run(format!(
                "create function public.refuse() returns trigger language plpgsql as
                   $$ begin raise 'not taken' using errcode = '{sqlstate}'; end $$;
                create trigger refuse before insert on pgmq.q_worker_test_queue
                  for each row execute function public.refuse()"
            ))
            .await;

        let reported = go_on(&mut world, &[complete(&first)], AMPLE).await;

        assert_eq!(reported.continued.len(), 1);
        assert_eq!((reported.enqueued, reported.stale.len()), (0, 0));
        assert_eq!(world.step_state(task, "s02").await, StepState::Pending);
        world
            .run("drop trigger refuse on pgmq.q_worker_test_queue")
            .await;
        world.assert_healthy().await;
        world.claim().await;
        let mut held = reported.continued;
        held.extend(world.receive().await);
        run_to_the_end(&mut world, task, held).await;
    }
}

#[tokio::test]
async fn none_starts_beside_another_while_a_queue_is_locked() {
    let (mut world, task, first) = started(3).await;
    let mut holder = world.begin().await;
    sqlx::query("lock table pgmq.q_worker_test_queue in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    world.run("set lock_timeout to '20ms'").await;
    let reports = [complete(&first)];

    let refused = try_report(&mut world, &reports, AMPLE, Locks::Wait).await;
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    let reported = try_report(&mut world, &reports, AMPLE, Locks::Skip).await;

    let reported = reported.unwrap();
    assert_eq!((reported.continued.len(), reported.enqueued), (1, 0));
    holder.rollback().await.unwrap();
    world.run("reset lock_timeout").await;
    world.claim().await;
    let mut held = reported.continued;
    held.extend(world.receive().await);
    run_to_the_end(&mut world, task, held).await;
}

#[tokio::test]
async fn none_starts_beside_another_while_a_queue_lacks_its_messages() {
    let (mut world, _, first) = started(3).await;
    world
        .value::<i32>("select tasker.use_unlogged_queues(true)")
        .await;
    world
        .run(
            "truncate pgmq.q_worker_test_queue, tasker.queues_intact;
            alter sequence pgmq.q_worker_test_queue_msg_id_seq restart",
        )
        .await;

    let reported = go_on(&mut world, &[complete(&first)], AMPLE).await;

    assert_eq!((reported.continued.len(), reported.enqueued), (1, 0));
    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
    world.run_all().await;
    world.assert_healthy().await;
}
