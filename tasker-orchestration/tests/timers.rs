//! Retries and leases are woken when they are due, with and without notifications.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tasker_shared::announcer::Announcer;
use tasker_shared::config::DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
use tasker_shared::config::TaskerConfig;
use tasker_shared::readiness::fire_due_timers;
use tasker_shared::steps::{
    Demand, Locks, ReceivedStep, Reported, StepError, StepOutcome, StepReport, complete_steps,
    receive_steps,
};
use tasker_testing::{FaultProxy, FrozenSession, WAIT_TIMEOUT, wait_for, wait_until};
use world::World;

const LEASE: Duration = Duration::from_mins(10);

/// Receives one step from the queue as a worker would, as soon as there is one.
async fn receive(connection: &mut PgConnection) -> ReceivedStep {
    wait_for("a step is received", WAIT_TIMEOUT, async || {
        let steps = receive_steps(
            connection,
            "worker",
            &Demand::of_any(&["shop".to_owned()], 1, LEASE),
        )
        .await;
        steps.unwrap().steps.pop()
    })
    .await
}

/// Reports that an attempt failed and has to be tried again. Nothing is announced.
async fn fail(connection: &mut PgConnection, step: &ReceivedStep, after: Duration) -> Reported {
    let report = StepReport {
        id: step.id,
        receipt: step.receipt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        outcome: StepOutcome::Retry {
            error: StepError {
                kind: "handler_failed".to_owned(),
                message: "injected".to_owned(),
                details: None,
            },
            after: Some(after),
        },
    };
    complete_steps(connection, "worker", &[report], Locks::Wait)
        .await
        .unwrap()
}

/// Fails the first attempt of a step and returns the second, which the orchestrator has to enqueue.
async fn retried(world: &World, config: &TaskerConfig) -> ReceivedStep {
    let orchestrator = world.start(config).await;
    world.submit_unannounced().await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;
    fail(&mut worker, &first, Duration::from_millis(50)).await;
    let second = receive(&mut worker).await;
    orchestrator.stop().await;
    second
}

#[tokio::test]
async fn nothing_is_due_where_nothing_waits() {
    let world = World::create().await;
    let mut connection = world.db.connect().await;

    let fired = fire_due_timers(&mut connection, 10).await.unwrap();

    assert_eq!(fired.next_due_in, None);
}

#[tokio::test]
async fn a_retry_is_enqueued_when_due_though_nothing_announces_it() {
    for mode in [Hybrid, PollingOnly] {
        let world = World::create().await;
        let mut config = world.polling_config(mode);
        config.orchestration.timers.max_sleep = Duration::from_millis(50);

        let step = retried(&world, &config).await;

        assert_eq!(step.attempt, 2);
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn a_timer_set_before_the_start_fires_at_its_time_without_any_notification() {
    let world = World::create().await;
    let polling = world.start(&world.polling_config(PollingOnly)).await;
    world.submit_unannounced().await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;
    polling.stop().await;
    fail(&mut worker, &first, Duration::from_millis(500)).await;

    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;

    assert_eq!(receive(&mut worker).await.attempt, 2);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_sleeping_timer_is_woken_by_the_announcement_of_an_earlier_one() {
    let world = World::create().await;
    let config = world.config(EventDrivenOnly);
    let announcer = Announcer::start(
        &world.db.database().await,
        "test",
        &config.mpsc_channels,
        &config.event_systems.supervisor,
    );
    let orchestrator = world.start(&config).await;
    world.submit(0).await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;

    let reported = fail(&mut worker, &first, Duration::from_millis(50)).await;
    announcer.announce(reported.announcements).await;

    assert_eq!(receive(&mut worker).await.attempt, 2);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_retry_that_fired_is_enqueued_though_the_answer_got_lost() {
    let world = World::create().await;
    let polling = world.start(&world.polling_config(PollingOnly)).await;
    world.submit_unannounced().await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;
    polling.stop().await;
    // Time for the orchestrator to start and to fall asleep until then.
    fail(&mut worker, &first, Duration::from_secs(2)).await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let mut config = world.config(EventDrivenOnly);
    config.database.listen_url = world.db.url().into();
    config.database.url = proxy.url().into();
    config.database.statement_timeout = Duration::from_millis(400);
    config.database.call_timeout = Duration::from_millis(500);
    let orchestrator = world.start(&config).await;
    let holds = async |condition| -> bool {
        let query = sqlx::query_scalar(condition);
        query.fetch_one(&world.pool).await.unwrap()
    };
    wait_until("the loop has fallen asleep", WAIT_TIMEOUT, async || {
        holds(
            "select count(*) = 1 from pg_stat_activity
             where datname = current_database() and query like '%fire_due_timers%'
               and state = 'idle' and state_change < clock_timestamp() - interval '100 ms'",
        )
        .await
    })
    .await;

    proxy.swallow_answers();
    // A loop that was awake after all has no connection now, and has to go on later.
    wait_until("the timer has fired, or cannot", WAIT_TIMEOUT, async || {
        holds(
            "select not exists (
               select from tasker.timers where due_at > clock_timestamp() - interval '2 s'
             )",
        )
        .await
    })
    .await;
    proxy.resume();

    assert_eq!(receive(&mut worker).await.attempt, 2);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_retry_that_fired_is_enqueued_though_the_loop_that_fired_it_ended_before_it_told() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;
    world.submit(0).await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;
    fail(&mut worker, &first, Duration::ZERO).await;
    wait_until("the retry fires", WAIT_TIMEOUT, async || {
        // As the loop does, whose next words would be to the command processor.
        fire_due_timers(&mut worker, 10).await.unwrap();
        let none_waits = "select not exists (select from tasker.timers)";
        let none_waits = sqlx::query_scalar(none_waits).fetch_one(&world.pool);
        none_waits.await.unwrap()
    })
    .await;

    assert!(orchestrator.make_panic("timers"));

    assert_eq!(receive(&mut worker).await.attempt, 2);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn more_due_retries_than_a_batch_holds_are_all_enqueued() {
    const TASKS: i64 = 25;
    let world = World::create().await;
    let first = world.start(&world.config(EventDrivenOnly)).await;
    let mut worker = world.db.connect().await;
    for _ in 0..TASKS {
        world.submit(0).await;
        let step = receive(&mut worker).await;
        fail(&mut worker, &step, Duration::ZERO).await;
    }
    first.stop().await;
    let mut config = world.config(EventDrivenOnly);
    config.orchestration.timers.batch_size = 4;

    let second = world.start(&config).await;

    world.wait_until_queued(TASKS).await;
    second.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_retry_is_enqueued_although_the_session_that_fires_timers_is_frozen() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;
    world.submit(0).await;
    let mut worker = world.db.connect().await;
    let first = receive(&mut worker).await;
    let config = world.config(EventDrivenOnly);
    let announcer = Announcer::start(
        &world.db.database().await,
        "test",
        &config.mpsc_channels,
        &config.event_systems.supervisor,
    );
    let frozen = wait_for("the loop has fallen asleep", WAIT_TIMEOUT, async || {
        FrozenSession::idle_after(&world.pool, "fire_due_timers").await
    })
    .await;
    let began = Instant::now();

    let reported = fail(&mut worker, &first, Duration::from_millis(50)).await;
    announcer.announce(reported.announcements).await;

    assert_eq!(receive(&mut worker).await.attempt, 2);
    let lasted = began.elapsed();
    assert!(
        lasted < Duration::from_secs(30),
        "a call may last 65 s: {lasted:?}"
    );
    drop(frozen);
    orchestrator.stop().await;
    world.assert_sound().await;
}
