//! Outcomes that put what they make ready into its queue, in the same transaction.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use sqlx::postgres::PgListener;
use support::{DIAMOND, WORKER, World, complete};
use tasker_shared::error::Error;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, Locks, ReportOptions, Reported, StepReport};
use tokio::time::timeout;

const PAIR: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"])];
const QUEUE: &str = "worker_test_queue";
const READY: &str = "select count(*) from tasker.ready_steps";

const ENQUEUING: ReportOptions<'static> = ReportOptions {
    enqueues: true,
    ..ReportOptions::PLAIN
};

async fn world() -> World {
    let mut world = World::new().await;
    world.template("pair", PAIR).await;
    world.template("diamond", DIAMOND).await;
    world
}

async fn record(
    world: &mut World,
    reports: &[StepReport],
    options: ReportOptions<'_>,
) -> Result<Reported, Error> {
    steps::record_outcomes(&mut world.connection, WORKER, reports, options).await
}

#[tokio::test]
async fn what_an_outcome_makes_ready_is_received_without_a_claim() {
    for (path_for_one, template, names) in [
        ("on", "pair", &["b"][..]),
        ("off", "pair", &["b"]),
        ("on", "diamond", &["b", "c"]),
    ] {
        let mut world = world().await;
        world
            .run(format!("set tasker.path_for_one = {path_for_one}"))
            .await;
        let task = world.submit(template).await;
        let a = world.start_one().await;

        let reported = record(&mut world, &[complete(&a)], ENQUEUING)
            .await
            .unwrap();

        assert_eq!(reported.enqueued, names.len() as u64);
        assert_eq!(reported.announcements.queues, [QUEUE]);
        assert!(reported.announcements.ready.is_empty());
        assert_eq!(world.value::<i64>(READY).await, 0);
        let moves =
            "select string_agg(distinct from_state || ' to ' || to_state || ' by ' || actor, '')
             from tasker.step_transitions where to_state = 'enqueued' and step_no > 1";
        let moves: String = world.value(moves).await;
        assert_eq!(moves, format!("pending to enqueued by {WORKER}"));
        let given = "select bool_and(s.input_bytes = a.input_bytes + a.result_bytes)
             from tasker.steps s
             join tasker.steps a on a.task_uuid = s.task_uuid and a.step_no = 1
             where s.state = 'enqueued'";
        assert!(world.value::<bool>(given).await);
        let received = world.receive().await;
        assert!(
            received
                .iter()
                .all(|step| (step.attempt, step.receipt) == (1, 1))
        );
        let received = received.iter().map(|step| step.step_name.as_str());
        assert_eq!(received.collect::<Vec<_>>(), names);
        world.assert_healthy().await;
        world.expire_leases().await;
        world.run_all().await;
        assert_eq!(world.task_state(task).await, TaskState::Complete);
    }
}

#[tokio::test]
async fn a_step_that_waits_for_more_is_enqueued_with_the_last_of_them() {
    let mut world = world().await;
    world.submit("diamond").await;
    let a = world.start_one().await;
    record(&mut world, &[complete(&a)], ENQUEUING)
        .await
        .unwrap();
    let both = world.receive().await;

    let first = record(&mut world, &[complete(&both[0])], ENQUEUING)
        .await
        .unwrap();
    assert_eq!((first.enqueued, first.announcements.queues.len()), (0, 0));
    let last = record(&mut world, &[complete(&both[1])], ENQUEUING)
        .await
        .unwrap();
    assert_eq!(last.enqueued, 1);

    let d = world.receive().await;
    assert_eq!(d[0].dependency_results.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_workers_of_the_queue_are_woken_with_the_commit_of_a_lone_outcome() {
    let mut world = world().await;
    for path_for_one in ["on", "off"] {
        world
            .run(format!("set tasker.path_for_one = {path_for_one}"))
            .await;
        world.submit("pair").await;
        let a = world.start_one().await;
        let mut listener = PgListener::connect(world.db.url()).await.unwrap();
        let insert = format!("pgmq.q_{QUEUE}.INSERT");
        let channels = [insert.as_str(), "tasker_task_ready"];
        listener.listen_all(channels).await.unwrap();

        let announcing = ReportOptions {
            announces: true,
            ..ENQUEUING
        };
        record(&mut world, &[complete(&a)], announcing)
            .await
            .unwrap();

        let heard = timeout(Duration::from_mins(1), listener.recv()).await;
        assert_eq!(heard.unwrap().unwrap().channel(), insert);
        let b = world.receive().await;
        world.report(&[complete(&b[0])]).await;
    }
}

#[tokio::test]
async fn what_a_queue_does_not_take_waits_for_a_claim() {
    // The disk is full, and a number of a message that is taken.
    for (path_for_one, template, sqlstate) in [
        ("on", "pair", "53100"),
        ("off", "pair", "23505"),
        ("on", "diamond", "53100"),
        ("on", "diamond", "23505"),
    ] {
        let mut world = world().await;
        world
            .run(format!("set tasker.path_for_one = {path_for_one}"))
            .await;
        let task = world.submit(template).await;
        let a = world.start_one().await;
        world
            .run(format!(
                "create function public.refuse() returns trigger language plpgsql as
                   $$ begin raise 'not taken' using errcode = '{sqlstate}'; end $$;
                create trigger refuse before insert on pgmq.q_worker_test_queue
                  for each row execute function public.refuse()"
            ))
            .await;

        let reported = record(&mut world, &[complete(&a)], ENQUEUING)
            .await
            .unwrap();

        assert_eq!((reported.enqueued, reported.stale.len()), (0, 0));
        assert!(reported.announcements.ready.contains(&task.0));
        assert_eq!(world.step_state(task, "b").await, StepState::Pending);
        world
            .run("drop trigger refuse on pgmq.q_worker_test_queue")
            .await;
        world.assert_healthy().await;
        world.run_all().await;
        assert_eq!(world.task_state(task).await, TaskState::Complete);
    }
}

#[tokio::test]
async fn a_locked_queue_holds_up_an_outcome_no_longer_than_the_lock_timeout() {
    let mut world = world().await;
    let task = world.submit("pair").await;
    let a = world.start_one().await;
    let mut holder = world.begin().await;
    sqlx::query("lock table pgmq.q_worker_test_queue in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    world.run("set lock_timeout to '20ms'").await;

    let refused = record(&mut world, &[complete(&a)], ENQUEUING).await;
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    let skipping = ReportOptions {
        locks: Locks::Skip,
        ..ENQUEUING
    };
    let reported = record(&mut world, &[complete(&a)], skipping).await.unwrap();

    assert_eq!(reported.enqueued, 0);
    assert_eq!(reported.announcements.ready, [task.0]);
    holder.rollback().await.unwrap();
    world.run("reset lock_timeout").await;
    world.run_all().await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    // The message that could not be deleted stands for no step any more.
    world.expire_leases().await;
    assert!(world.receive().await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn nothing_is_put_into_a_queue_that_lost_its_messages_before_those_are_back() {
    for (path_for_one, template) in [("on", "pair"), ("on", "diamond")] {
        let mut world = world().await;
        world
            .run(format!("set tasker.path_for_one = {path_for_one}"))
            .await;
        world
            .value::<i32>("select tasker.use_unlogged_queues(true)")
            .await;
        world.submit(template).await;
        let a = world.start_one().await;
        world
            .run(
                "truncate pgmq.q_worker_test_queue, tasker.queues_intact;
                alter sequence pgmq.q_worker_test_queue_msg_id_seq restart",
            )
            .await;

        let reported = record(&mut world, &[complete(&a)], ENQUEUING)
            .await
            .unwrap();

        assert_eq!(reported.enqueued, 0);
        let messages = "select count(*) from pgmq.q_worker_test_queue";
        assert_eq!(world.value::<i64>(messages).await, 0);
        world.run_all().await;
        world.assert_healthy().await;
    }
}
