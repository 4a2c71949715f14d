//! The engine's own calls announce nothing inside their transactions but messages in queues: what
//! they bring about is announced after the commit. For all other callers triggers announce.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use sqlx::postgres::PgListener;
use support::{DIAMOND, SINGLE, WORKER, World, complete, fail, given_back, retry};
use tasker_shared::readiness;
use tasker_shared::steps::{self};
use tasker_shared::tasks;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

const TASK_READY: &str = "tasker_task_ready";
const TASK_STATE: &str = "tasker_task_state";
const TIMER_SET: &str = "tasker_timer_set";
const NAMESPACE_CREATED: &str = "tasker_namespace_created";
const QUEUE: &str = "pgmq.q_worker_test_queue.INSERT";

/// The channels on which a submission is announced.
const OF_A_SUBMISSION: [&str; 4] = [
    TASK_READY,
    "tasker_task_ready.test",
    TASK_STATE,
    "tasker_task_state.test",
];

/// A channel that only marks how far the notifications were read.
const END: &str = "end";

async fn listen(world: &World) -> PgListener {
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    let channels = [
        TASK_READY,
        "tasker_task_ready.test",
        TASK_STATE,
        "tasker_task_state.test",
        TIMER_SET,
        NAMESPACE_CREATED,
        QUEUE,
        END,
    ];
    listener.listen_all(channels).await.unwrap();
    listener
}

/// The channels of all notifications so far.
async fn heard(world: &mut World, listener: &mut PgListener) -> Vec<String> {
    world.run(format!("select pg_notify('{END}', '')")).await;
    let mut channels = Vec::new();
    loop {
        let notification = timeout(WAIT_TIMEOUT, listener.recv())
            .await
            .unwrap()
            .unwrap();
        if notification.channel() == END {
            return channels;
        }
        channels.push(notification.channel().to_owned());
    }
}

#[tokio::test]
async fn claims_are_announced_to_the_queue_and_where_they_start_a_task() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    world.submit("diamond").await;
    let mut listener = listen(&world).await;

    world.claim().await;

    let mut announced = heard(&mut world, &mut listener).await;
    announced.sort();
    assert_eq!(announced, [QUEUE, TASK_STATE, "tasker_task_state.test"]);

    let first = world.receive().await;
    world.report(&[complete(&first[0])]).await;
    world.claim().await;

    assert_eq!(heard(&mut world, &mut listener).await, [QUEUE]);
}

#[tokio::test]
async fn outcomes_that_ready_fail_retry_and_end_are_silent() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    world.template("single", SINGLE).await;
    for name in ["diamond", "single", "single", "single"] {
        world.submit(name).await;
    }
    world.claim().await;
    let running = world.receive().await;
    let mut listener = listen(&world).await;

    let mut reports = running.iter().map(complete).collect::<Vec<_>>();
    let single = running.iter().filter(|step| step.step_name == "only");
    let single = single.collect::<Vec<_>>();
    reports.retain(|report| report.id != single[0].id && report.id != single[1].id);
    reports.push(fail(single[0]));
    reports.push(retry(single[1]));
    let reported = world.report(&reports).await;

    let announcements = reported.announcements;
    assert_eq!(announcements.ready.len(), 2);
    assert_eq!(announcements.finished.len(), 2);
    assert!(announcements.timer_set);
    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_given_back_is_silent() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let step = world.start_one().await;
    let mut listener = listen(&world).await;

    let released = given_back(&step);
    let connection = &mut world.connection;
    let reported = steps::release_steps(connection, WORKER, &[released])
        .await
        .unwrap();

    assert_eq!(reported.announcements.queues.len(), 1);
    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());
}

#[tokio::test]
async fn timers_that_fire_are_silent() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;
    world.advance(Duration::from_secs(5)).await;
    let mut listener = listen(&world).await;

    let timers = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();

    assert_eq!(timers.fired, 1);
    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());
}

#[tokio::test]
async fn submissions_that_their_caller_announces_are_silent_and_those_beside_them_are_not() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;
    let task = [support::new_task("single")];

    world.run("begin").await;
    tasks::submit_tasks_silently(&mut world.connection, &task, Some(Duration::from_secs(1)))
        .await
        .unwrap();
    let lock_timeout: String = world.value("select current_setting('lock_timeout')").await;
    assert_eq!(lock_timeout, "0");
    world.run("commit").await;
    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());

    world.run("begin").await;
    tasks::submit_tasks_silently(&mut world.connection, &task, None)
        .await
        .unwrap();
    world.submit("single").await;
    world.run("commit").await;
    let mut heard = heard(&mut world, &mut listener).await;
    heard.sort();
    assert_eq!(heard, OF_A_SUBMISSION);
}

#[tokio::test]
async fn a_submission_in_the_same_transaction_as_calls_of_the_engine_is_announced() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let mut listener = listen(&world).await;

    world.run("begin").await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    world.submit("single").await;
    world.run("commit").await;

    let mut heard = heard(&mut world, &mut listener).await;
    // The task that was started.
    let started = [QUEUE, TASK_STATE, "tasker_task_state.test"];
    for channel in started {
        let at = heard.iter().position(|one| one == channel).unwrap();
        heard.remove(at);
    }
    heard.sort();
    assert_eq!(heard, OF_A_SUBMISSION);
}

#[tokio::test]
async fn a_namespace_is_announced_when_its_first_template_is_applied_and_only_then() {
    let mut world = World::new().await;
    let mut listener = listen(&world).await;
    let template = |name| {
        json!({
            "namespace": "test", "name": name, "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        })
    };

    world.apply(template("first")).await;
    assert_eq!(heard(&mut world, &mut listener).await, [NAMESPACE_CREATED]);
    world.apply(template("first")).await;
    world.apply(template("second")).await;

    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_submission_that_is_rolled_back_is_not_announced() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;

    world.run("begin").await;
    world.submit("single").await;
    world.run("rollback").await;

    assert_eq!(heard(&mut world, &mut listener).await, Vec::<String>::new());
}

#[tokio::test]
async fn ten_thousand_tasks_are_announced_together() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;

    let tasks = vec![support::new_task("single"); 10_000];
    tasker_shared::tasks::submit_tasks(&mut world.connection, &tasks)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    let times = OF_A_SUBMISSION.map(|channel| heard.iter().filter(|one| *one == channel).count());
    assert_eq!(times, [278, 278, 100, 100]);
    assert_eq!(heard.len(), 756);
}
