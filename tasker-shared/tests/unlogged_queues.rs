//! Queues that a crash of the server empties, and what is made again from the steps.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use support::{DIAMOND, LEASE, SINGLE, WORKER, World, complete};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::operator::Action;
use tasker_shared::readiness;
use tasker_shared::schema::migrate;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, Continuation};

/// A world whose queues are unlogged.
async fn world() -> World {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.template("diamond", DIAMOND).await;
    let changed: i32 = world.value("select tasker.use_unlogged_queues(true)").await;
    assert_eq!(changed, 1);
    world
}

/// What a crash of the server does to what is unlogged.
async fn crash(world: &mut World) {
    world
        .run(
            "truncate pgmq.q_worker_test_queue, tasker.queues_intact;
            alter sequence pgmq.q_worker_test_queue_msg_id_seq restart",
        )
        .await;
}

const MESSAGES: &str = "select count(*) from pgmq.q_worker_test_queue";

#[tokio::test]
async fn steps_in_flight_go_on_after_a_crash() {
    let mut world = world().await;
    let held = world.submit("diamond").await;
    let running = world.start_one().await;
    world.submit("single").await;
    world.claim().await;
    world.submit("single").await;
    crash(&mut world).await;

    // What is ready is claimed, beside what had been enqueued.
    world.claim().await;
    let received = world.receive().await;

    let tasks: HashSet<_> = received.iter().map(|step| step.id.task_uuid).collect();
    assert_eq!(tasks.len(), 2);
    assert!(!tasks.contains(&held), "a held step came back at once");
    let numbers = received.iter().chain([&running]).map(|step| step.msg_id);
    assert_eq!(numbers.collect::<HashSet<_>>().len(), 3);

    // The worker that held a step through the crash is believed.
    let reports: Vec<_> = received.iter().chain([&running]).map(complete).collect();
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
    assert_eq!(world.run_all().await.len(), 3);
    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_whose_worker_was_lost_too_comes_back_when_its_lease_is_over() {
    let mut world = world().await;
    world.submit("single").await;
    let lost = world.start_one().await;
    crash(&mut world).await;

    world.claim().await;
    assert!(world.receive().await.is_empty());
    world.expire_leases().await;
    let back = world.receive().await;

    assert_eq!(back.len(), 1);
    assert_eq!(
        (back[0].id, back[0].msg_id, back[0].expired.as_deref()),
        (lost.id, lost.msg_id, Some("lease_expired"))
    );
}

#[tokio::test]
async fn a_step_that_runs_on_in_a_cancelled_task_keeps_its_lease() {
    let mut world = world().await;
    let task = world.submit("single").await;
    let running = world.start_one().await;
    Action::CancelTask
        .carry_out(&mut world.connection, task, "operator", None)
        .await
        .unwrap();
    crash(&mut world).await;

    world.claim().await;

    assert_eq!(world.value::<i64>(MESSAGES).await, 1);
    world.assert_healthy().await;
    assert!(world.report(&[complete(&running)]).await.stale.is_empty());
    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn timers_refill_the_queues_where_nothing_is_claimed() {
    let mut world = world().await;
    world.submit("single").await;
    world.claim().await;
    crash(&mut world).await;

    let fired = readiness::fire_due_timers(&mut world.connection, 100)
        .await
        .unwrap();

    assert_eq!(fired.woken_queues, ["worker_test_queue"]);
    assert_eq!(world.run_all().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_that_find_the_queues_empty_refill_them_once() {
    let mut world = world().await;
    for _ in 0..20 {
        world.submit("single").await;
    }
    world.claim().await;
    crash(&mut world).await;
    let mut other = world.db.connect().await;

    let (one, two) = tokio::join!(
        readiness::claim_ready_tasks(&mut world.connection, "orchestrator-1", 100),
        readiness::claim_ready_tasks(&mut other, "orchestrator-2", 100),
    );

    assert_eq!((one.unwrap().len(), two.unwrap().len()), (0, 0));
    assert_eq!(world.value::<i64>(MESSAGES).await, 20);
    assert_eq!(world.run_all().await.len(), 20);
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_outcome_that_is_being_recorded_leaves_no_message_behind() {
    let mut world = world().await;
    world.submit("single").await;
    let running = world.start_one().await;
    crash(&mut world).await;
    let mut reporting = world.begin().await;
    steps::complete_steps(
        &mut reporting,
        WORKER,
        &[complete(&running)],
        steps::Locks::Wait,
    )
    .await
    .unwrap();

    let claim = world
        .start_blocked(async |mut other| {
            readiness::claim_ready_tasks(&mut other, "orchestrator-2", 100)
                .await
                .unwrap()
        })
        .await;
    reporting.commit().await.unwrap();
    claim.await.unwrap();

    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_is_handed_on_before_the_refill_gets_a_message() {
    let mut world = world().await;
    let task = world.submit("diamond").await;
    let running = world.start_one().await;
    crash(&mut world).await;

    let continuation = Continuation {
        may_continue: vec![true],
        handlers: &["builtin.noop".to_owned()],
        lease: LEASE,
    };
    let connection = &mut world.connection;
    let reported = steps::complete_and_continue(
        connection,
        WORKER,
        &[complete(&running)],
        &continuation,
        steps::Locks::Wait,
    )
    .await
    .unwrap();
    world.claim().await;

    let next = &reported.continued[0];
    let messages = format!("{MESSAGES} where msg_id = {}", next.msg_id);
    assert_eq!(world.value::<i64>(messages).await, 1);
    world.assert_healthy().await;
    // The other branch has a number of its own.
    let beside = world.receive().await;
    assert_eq!(beside.len(), 1);
    assert_ne!(beside[0].msg_id, next.msg_id);
    let both = [complete(next), complete(&beside[0])];
    assert_eq!(world.report(&both).await.stale, Vec::<usize>::new());
    assert_eq!(world.run_all().await, ["d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

/// Has what is sent to the queue fail as on a disk that is full.
async fn fill_disk(world: &mut World) {
    world
        .run(
            "create function public.refuse() returns trigger language plpgsql as
               $$ begin raise 'no space left' using errcode = '53100'; end $$;
            create trigger disk_is_full before insert on pgmq.q_worker_test_queue
              for each row execute function public.refuse()",
        )
        .await;
}

#[tokio::test]
async fn a_refill_that_failed_is_done_later_beside_what_was_enqueued_since() {
    let mut world = world().await;
    for _ in 0..3 {
        world.submit("single").await;
    }
    world.claim().await;
    crash(&mut world).await;
    fill_disk(&mut world).await;

    world.claim().await;
    readiness::fire_due_timers(&mut world.connection, 100)
        .await
        .unwrap();
    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
    world
        .run("drop trigger disk_is_full on pgmq.q_worker_test_queue")
        .await;
    world.submit("single").await;
    world.claim().await;
    assert_eq!(world.value::<i64>(MESSAGES).await, 1);

    for _ in 0..2 {
        world.advance(Duration::from_secs(10)).await;
        readiness::fire_due_timers(&mut world.connection, 100)
            .await
            .unwrap();
        assert_eq!(world.value::<i64>(MESSAGES).await, 4);
    }
    world.assert_healthy().await;
    assert_eq!(world.run_all().await.len(), 4);
    world.assert_healthy().await;
}

#[tokio::test]
async fn timers_come_back_for_a_refill_that_failed() {
    let mut world = world().await;
    world.submit("single").await;
    world.claim().await;
    crash(&mut world).await;
    fill_disk(&mut world).await;
    world.advance(Duration::ZERO).await;

    let fired = readiness::fire_due_timers(&mut world.connection, 100)
        .await
        .unwrap();

    assert_eq!(fired.next_due_in, Some(Duration::from_secs(10)));
}

#[tokio::test]
async fn what_could_not_be_put_back_is_before_queues_become_logged() {
    let mut world = world().await;
    world.submit("single").await;
    world.claim().await;
    crash(&mut world).await;
    fill_disk(&mut world).await;
    world.claim().await;
    world
        .run("drop trigger disk_is_full on pgmq.q_worker_test_queue")
        .await;

    world.run("select tasker.use_unlogged_queues(false)").await;
    world.advance(Duration::from_secs(10)).await;
    readiness::fire_due_timers(&mut world.connection, 100)
        .await
        .unwrap();

    assert_eq!(world.run_all().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_a_crash_took_is_put_back_before_queues_become_logged() {
    let mut world = world().await;
    world.submit("single").await;
    world.claim().await;
    crash(&mut world).await;

    let changed: i32 = world
        .value("select tasker.use_unlogged_queues(false)")
        .await;

    assert_eq!(changed, 1);
    assert_eq!(world.value::<i64>(MESSAGES).await, 1);
    assert_eq!(world.run_all().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn queues_that_are_logged_are_left_as_they_are() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.claim().await;
    world.run("truncate tasker.queues_intact").await;

    world.claim().await;

    assert_eq!(world.value::<i64>(MESSAGES).await, 1);
    assert_eq!(world.run_all().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn migrating_makes_present_and_future_queues_what_the_configuration_says() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.claim().await;
    let unlogged = "select coalesce(string_agg(relname, ' ' order by relname), '') from pg_class
        where relpersistence = 'u' and relname like 'q\\_worker\\_%' and relkind = 'r'";
    let mut config = DatabaseConfig {
        url: world.db.url().into(),
        ..TaskerConfig::default().database
    };

    config.unlogged_queues = true;
    migrate(&Database::connect(&config).await.unwrap())
        .await
        .unwrap();
    world
        .apply(serde_json::json!({
            "namespace": "later", "name": "single", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "builtin.noop" }],
        }))
        .await;
    let then: String = world.value(unlogged).await;
    config.unlogged_queues = false;
    migrate(&Database::connect(&config).await.unwrap())
        .await
        .unwrap();

    assert_eq!(then, "q_worker_later_queue q_worker_test_queue");
    assert_eq!(world.value::<String>(unlogged).await, "");
    assert_eq!(world.run_all().await.len(), 1);
    world.assert_healthy().await;
}
