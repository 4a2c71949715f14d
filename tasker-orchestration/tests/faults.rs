//! Connections that break, loops that end, a database that goes away: nothing is forgotten.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection};
use tasker_orchestration::ComponentState;
use tasker_shared::config::DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
use tasker_testing::{FaultProxy, FrozenSession, LISTENING, WAIT_TIMEOUT, wait_for, wait_until};
use world::World;

#[tokio::test]
async fn tasks_submitted_while_nobody_listens_are_enqueued_once_the_listener_is_back() {
    let world = World::create().await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let mut config = world.config(EventDrivenOnly);
    config.database.listen_url = proxy.url().into();
    let orchestrator = world.start(&config).await;

    proxy.cut();
    wait_until("the loss is noticed", WAIT_TIMEOUT, async || {
        orchestrator.health().listener_connected == Some(false)
    })
    .await;
    world.submit(0).await;
    assert_eq!(world.queued().await, 0, "who told the orchestrator?");
    proxy.resume();

    world.wait_until_queued(1).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_listener_whose_connection_dies_silently_is_replaced() {
    let world = World::create().await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let mut config = world.config(EventDrivenOnly);
    config.database.listen_url = proxy.url().into();
    config.event_systems.listener.heartbeat_interval = Duration::from_millis(50);
    let orchestrator = world.start(&config).await;

    proxy.blackhole();
    wait_until("the silence is noticed", WAIT_TIMEOUT, async || {
        orchestrator.health().listener_connected == Some(false)
    })
    .await;
    world.submit(0).await;
    proxy.resume();

    world.wait_until_queued(1).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

/// Ends the sessions of the database that listen; returns how many there were.
async fn terminate_listeners(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where {LISTENING}"
    )))
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn tasks_submitted_around_the_death_of_the_listening_session_are_enqueued() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;
    let mut operator = world.db.connect().await;
    let mut submitted = 0;
    for _ in 0..5 {
        wait_until("a session listens and is ended", WAIT_TIMEOUT, async || {
            terminate_listeners(&mut operator).await == 1
        })
        .await;
        for _ in 0..10 {
            world.submit(0).await;
            submitted += 1;
        }
    }

    world.wait_until_queued(submitted).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn every_loop_that_is_killed_is_started_again_and_the_orchestrator_works_on() {
    let world = World::create().await;
    for mode in [Hybrid, EventDrivenOnly, PollingOnly] {
        let config = match mode {
            PollingOnly => world.polling_config(mode),
            Hybrid | EventDrivenOnly => world.config(mode),
        };
        let orchestrator = world.start(&config).await;
        for component in orchestrator.health().components {
            let enqueued = world.queued().await;
            wait_until("there is a loop to kill", WAIT_TIMEOUT, async || {
                orchestrator.make_panic(component.name)
            })
            .await;
            world.submit(0).await;

            world.wait_until_queued(enqueued + 1).await;
            wait_until("the loop runs again", WAIT_TIMEOUT, async || {
                let components = orchestrator.health().components;
                components.iter().any(|health| {
                    health.name == component.name
                        && health.state == ComponentState::Running
                        && health.restarts >= 1
                })
            })
            .await;
        }
        orchestrator.stop().await;
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn a_loop_that_panicked_goes_on_with_what_it_knew_and_no_pause_outlasts_a_stop() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(Hybrid)).await;
    wait_until("it is registered", WAIT_TIMEOUT, async || {
        processes(&world).await == 1
    })
    .await;
    assert!(orchestrator.make_panic("registration"));
    wait_until("it runs again", WAIT_TIMEOUT, async || {
        let health = orchestrator.health();
        let mut components = health.components.iter();
        components.any(|it| it.name == "registration" && it.restarts == 1) && health.is_healthy()
    })
    .await;
    orchestrator.stop().await;
    // A new row beside the old one would stay when its process is gone.
    assert_eq!(processes(&world).await, 0);

    let mut config = world.config(Hybrid);
    config.event_systems.supervisor.restart_min = Duration::from_hours(1);
    config.event_systems.supervisor.restart_max = Duration::from_hours(1);
    let orchestrator = world.start(&config).await;
    let is_running = |it: &ComponentState| *it == ComponentState::Running;
    for component in orchestrator.health().components {
        assert!(orchestrator.make_panic(component.name));
    }
    wait_until("every loop waits", WAIT_TIMEOUT, async || {
        let components = orchestrator.health().components;
        !components.iter().any(|it| is_running(&it.state))
    })
    .await;

    tokio::time::timeout(WAIT_TIMEOUT, orchestrator.stop())
        .await
        .expect("it stops though its loops wait to be started again");
    assert_eq!(processes(&world).await, 0);
    world.assert_sound().await;
}

/// How many processes are registered.
async fn processes(world: &World) -> i64 {
    let count = sqlx::query_scalar("select count(*) from tasker.processes");
    count.fetch_one(&world.pool).await.unwrap()
}

#[tokio::test]
async fn an_outage_of_the_database_ends_by_itself_and_what_became_ready_is_enqueued() {
    for mode in [EventDrivenOnly, Hybrid, PollingOnly] {
        let world = World::create().await;
        let proxy = FaultProxy::to(world.db.url()).await;
        let mut config = match mode {
            PollingOnly => world.polling_config(mode),
            Hybrid | EventDrivenOnly => world.config(mode),
        };
        config.database.url = proxy.url().into();
        let orchestrator = world.start(&config).await;

        proxy.cut();
        wait_until("the outage is noticed", WAIT_TIMEOUT, async || {
            let health = orchestrator.health();
            match health.listener_connected {
                Some(connected) => !connected,
                // It polls far more often.
                None => health.last_database_answer_ms > Some(500),
            }
        })
        .await;
        world.submit(0).await;
        proxy.resume();

        world.wait_until_queued(1).await;
        orchestrator.stop().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn an_orchestrator_stops_in_bounded_time_while_the_database_is_silent() {
    let world = World::create().await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let mut config = world.polling_config(Hybrid);
    config.database.url = proxy.url().into();
    let orchestrator = world.start(&config).await;

    proxy.blackhole();

    tokio::time::timeout(WAIT_TIMEOUT, orchestrator.stop())
        .await
        .expect("it stops though its calls are not answered");
    world.assert_sound().await;
}

/// Far less than the 65 s that a call may take.
const SOON: Duration = Duration::from_secs(30);

async fn freeze(world: &World, statement: &str) -> FrozenSession {
    wait_for("the session is idle", WAIT_TIMEOUT, async || {
        FrozenSession::idle_after(&world.pool, statement).await
    })
    .await
}

#[tokio::test]
async fn tasks_are_claimed_although_the_session_that_claims_is_frozen() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;
    let frozen = freeze(&world, "claim_ready_tasks").await;
    let began = Instant::now();

    world.submit(0).await;

    world.wait_until_queued(1).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop(frozen);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_orchestrator_says_that_its_calls_fail_while_the_server_takes_no_writes() {
    let world = World::create().await;
    let orchestrator = world.start(&world.polling_config(Hybrid)).await;
    let name = world.db.name();
    let mut operator = world.db.connect().await;
    let mut run = async |sql: String| {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql));
        statement.execute(&mut operator).await.unwrap();
    };

    // The sessions of this test began before, and go on writing.
    world.submit(0).await;
    world.wait_until_queued(1).await;
    run(format!(
        "alter database {name} set default_transaction_read_only = on"
    ))
    .await;
    run("select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'tasker'"
        .to_owned())
    .await;
    wait_until("a loop fails", WAIT_TIMEOUT, async || {
        let health = orchestrator.health();
        let mut components = health.components.iter();
        !health.is_healthy() && components.any(|it| it.failing_for_ms.is_some())
    })
    .await;
    world.submit(0).await;
    run(format!(
        "alter database {name} set default_transaction_read_only = off"
    ))
    .await;

    world.wait_until_queued(2).await;
    wait_until("all is well again", WAIT_TIMEOUT, async || {
        orchestrator.health().is_healthy()
    })
    .await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
