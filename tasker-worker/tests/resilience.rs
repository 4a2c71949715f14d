//! Server processes that freeze, refuse or take no writes: leases are kept, outcomes are never thrown
//! away, and everything goes on by itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::postgres::PgListener;
use tasker_shared::database::Database;
use tasker_shared::state::TaskState;
use tasker_testing::{FaultProxy, FrozenSession, PATIENCE, TestDatabase, wait_for, wait_until};
use tasker_worker::{HandlerError, Handlers, RunningWorker, Step};
use world::{Gate, World, error_of};

const GATE: &str = "  - { name: only, handler: gate, timeout_ms: 3600000 }";

/// Freezes the session that was used last for this statement.
async fn freeze(world: &World, statement: &str) -> FrozenSession {
    wait_for("the session is idle", PATIENCE, async || {
        FrozenSession::idle_after(&world.pool, statement).await
    })
    .await
}

/// Ends the sessions whose latest statement contains this; returns once they are gone.
async fn terminate(world: &World, statement: &'static str) {
    wait_until("the session is gone", PATIENCE, async || {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
               and query like '%' || $1 || '%'",
        )
        .bind(statement)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        ended == 0
    })
    .await;
}

/// Makes new sessions of the database read-only, or no longer, and ends all but those of the tests.
async fn set_read_only(world: &World, read_only: bool) {
    let name = world.db.name();
    let mut connection = world.db.connect().await;
    let alter = format!("alter database {name} set default_transaction_read_only = '{read_only}'");
    for statement in ["set default_transaction_read_only = off".to_owned(), alter] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    if read_only {
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and application_name = 'tasker'";
        world.count(terminate).await;
    }
}

/// A pool whose sessions write although the database is read-only by default.
fn stubborn(mut world: World) -> World {
    let options: sqlx::postgres::PgConnectOptions = world.db.url().parse().unwrap();
    world.pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(10)
        .connect_lazy_with(options.options([("default_transaction_read_only", "off")]));
    world
}

async fn wait_until_failing(worker: &RunningWorker, doing: &str) {
    wait_until("the worker says that it fails", PATIENCE, async || {
        let health = worker.health();
        !health.is_healthy() && health.failing.iter().any(|it| it.doing == doing)
    })
    .await;
}

async fn wait_until_healthy(worker: &RunningWorker) {
    wait_until("the worker is healthy again", PATIENCE, async || {
        worker.health().is_healthy() && worker.health().outcomes_waiting == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_keep_their_leases_while_the_heartbeats_session_is_frozen() {
    const STEPS: usize = 3;
    let mut world = World::create().await.with_lease(6.0);
    world.config.worker.concurrency = STEPS;
    world.template("one", GATE).await;
    let mut tasks = Vec::new();
    for _ in 0..STEPS {
        tasks.push(world.submit("one", json!({})).await);
    }
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    for _ in 0..STEPS {
        gate.wait_for_start().await;
    }

    let frozen = freeze(&world, "extend_leases").await;
    // Whatever loses its lease is found by this one.
    let rival = world.start_named("rival", gate.handlers());
    let leases_end: f64 = sqlx::query_scalar(
        "select extract(epoch from max(vt) - clock_timestamp())::float8
         from pgmq.q_worker_shop_queue",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let leases_end = Instant::now() + Duration::from_secs_f64(leases_end);
    wait_until("the leases would have ended", PATIENCE, async || {
        Instant::now() > leases_end + Duration::from_secs(1)
    })
    .await;

    for _ in 0..STEPS {
        gate.open();
    }
    for task in tasks {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
    }
    drop(frozen);
    worker.drain().await;
    rival.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_heartbeat_that_failed_is_repeated_before_the_next_is_due() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = proxy.url().to_owned();
    let world = World::at(db, &url).await.with_lease(24.0);
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    gate.wait_for_start().await;
    let lease_end = "select extract(epoch from max(vt))::bigint from pgmq.q_worker_shop_queue";
    let first = world.count(lease_end).await;

    proxy.cut();
    wait_until_failing(&worker, "extend leases").await;
    let failed = Instant::now();
    proxy.resume();
    wait_until("the lease is extended", PATIENCE, async || {
        world.count(lease_end).await > first
    })
    .await;

    let waited = failed.elapsed();
    assert!(
        waited < Duration::from_secs(6),
        "the next one was due in 8 s: {waited:?}"
    );
    gate.open();
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn leases_are_kept_while_the_worker_drains() {
    let world = World::create().await.with_lease(1.0);
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    gate.wait_for_start().await;

    let drained = tokio::spawn(worker.drain());
    tokio::task::yield_now().await;
    // One heartbeat may have been under way already.
    for _ in 0..2 {
        world.wait_for_extension().await;
    }

    gate.open();
    assert!(drained.await.unwrap().is_complete);
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_lease_is_kept_until_the_outcome_is_recorded() {
    let world = World::create().await.with_lease(1.0);
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    gate.wait_for_start().await;
    let mut operator = world.pool.begin().await.unwrap();
    sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
        .bind(task.0)
        .execute(&mut *operator)
        .await
        .unwrap();

    gate.open();
    wait_until("the outcome waits", PATIENCE, async || {
        worker.health().outcomes_waiting == 1
    })
    .await;
    for _ in 0..2 {
        world.wait_for_extension().await;
    }
    // Nobody found the message, not even this worker, which would extend the lease by that too.
    let reads = "select read_ct::bigint from pgmq.q_worker_shop_queue";
    assert_eq!(world.count(reads).await, 1);
    operator.rollback().await.unwrap();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_does_not_wait_for_a_session_that_is_frozen() {
    let mut world = World::create().await.with_lease(3.0);
    world.config.worker.reporters = 1;
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    let mut frozen = Vec::new();
    for _ in 0..2 {
        let task = world.submit("one", json!({})).await;
        world.orchestrate().await;
        gate.wait_for_start().await;
        let began = Instant::now();
        gate.open();
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
        let lasted = began.elapsed();
        assert!(
            lasted < Duration::from_secs(30),
            "a call may last 65 s: {lasted:?}"
        );
        frozen.push(freeze(&world, "complete_steps").await);
    }
    drop(frozen);
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn steps_are_received_although_a_session_is_frozen() {
    let world = World::create().await.with_lease(3.0);
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let worker = world.start(Handlers::new());
    let warm_up = world.submit("one", json!({})).await;
    world.run_to(warm_up, TaskState::Complete).await;

    let frozen = freeze(&world, "receive_steps").await;
    let began = Instant::now();
    let task = world.submit("one", json!({})).await;
    world.run_to(task, TaskState::Complete).await;

    let lasted = began.elapsed();
    assert!(
        lasted < Duration::from_secs(30),
        "a call may last 65 s: {lasted:?}"
    );
    drop(frozen);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_receipt_that_was_given_up_takes_no_step_when_its_session_goes_on() {
    let world = World::create().await.with_lease(3.0);
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let worker = world.start(Handlers::new());
    let warm_up = world.submit("one", json!({})).await;
    world.run_to(warm_up, TaskState::Complete).await;
    let frozen = freeze(&world, "receive_steps").await;
    // The worker waits for it without an answer, and receives this in another session.
    let task = world.submit("one", json!({})).await;
    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.submit("one", json!({})).await;
    world.claim().await;

    drop(frozen);
    wait_until("the session has ended", PATIENCE, async || {
        let sessions = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'tasker'
               and query like '%receive_steps%'";
        world.count(sessions).await == 0
    })
    .await;

    let held = "select count(*) from tasker.steps where state = 'in_progress'";
    assert_eq!(world.count(held).await, 0);
    world.assert_sound().await;
}

#[tokio::test]
async fn outcomes_outlast_a_server_that_takes_no_writes_and_their_handlers_run_once() {
    const STEPS: usize = 5;
    let world = stubborn(World::create().await.with_lease(3600.0));
    world.template("one", GATE).await;
    let mut tasks = Vec::new();
    for _ in 0..STEPS {
        tasks.push(world.submit("one", json!({})).await);
    }
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    for _ in 0..STEPS {
        gate.wait_for_start().await;
    }

    set_read_only(&world, true).await;
    for _ in 0..STEPS {
        gate.open();
    }
    wait_until("the outcomes wait", PATIENCE, async || {
        worker.health().outcomes_waiting == STEPS
    })
    .await;
    wait_until_failing(&worker, "report outcomes").await;
    set_read_only(&world, false).await;

    for task in tasks {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].result, Some(json!(1)));
        assert_eq!(detail.steps[0].attempts, 1);
    }
    wait_until_healthy(&worker).await;
    let began = Instant::now();
    let later = world.submit("one", json!({})).await;
    gate.open();
    world.run_to(later, TaskState::Complete).await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    worker.drain().await;
    world.assert_sound().await;
}

/// Lets the first so many outcomes that are recorded fail with this SQLSTATE.
async fn refuse_outcomes(world: &World, times: i32, sqlstate: &str) {
    let refuse = format!(
        "create sequence refused;
         create function refuse() returns trigger language plpgsql as $$
         begin
           if new.state = 'complete' and nextval('refused') <= {times} then
             raise exception 'not now' using errcode = '{sqlstate}';
           end if;
           return new;
         end $$;
         create trigger refuse before update on tasker.steps
         for each row execute function refuse();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse))
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_outcome_that_fails_for_a_reason_that_may_pass_is_recorded_when_it_has() {
    for sqlstate in [
        "42501", "58030", "XX000", "25006", "40001", "53100", "57014", "P0001",
    ] {
        let world = World::create().await.with_lease(3600.0);
        refuse_outcomes(&world, 4, sqlstate).await;
        world
            .template("one", "  - { name: only, handler: builtin.noop }")
            .await;
        let task = world.submit("one", json!({})).await;
        let worker = world.start(Handlers::new());

        let detail = world.run_to(task, TaskState::Complete).await;

        assert_eq!(detail.steps[0].attempts, 1, "{sqlstate}");
        wait_until_healthy(&worker).await;
        worker.drain().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_stored_fails_the_step_and_says_why() {
    for sqlstate in ["22003", "23514", "54000"] {
        let world = World::create().await.with_lease(3600.0);
        refuse_outcomes(&world, i32::MAX, sqlstate).await;
        world
            .template("one", "  - { name: only, handler: builtin.noop }")
            .await;
        let task = world.submit("one", json!({})).await;
        let worker = world.start(Handlers::new());

        let detail = world.run_to(task, TaskState::Error).await;

        let (kind, message) = error_of(&detail.steps[0]);
        assert_eq!(kind, "report_refused", "{sqlstate}");
        assert!(message.contains("not now"), "{message}");
        worker.drain().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn one_outcome_that_fails_for_no_known_reason_does_not_hold_up_the_others() {
    let mut world = World::create().await.with_lease(3600.0);
    world.config.worker.reporters = 1;
    world
        .template(
            "wide",
            "  - { name: poison, handler: builtin.echo, input: { n: poison } }
  - { name: fine, handler: builtin.echo, input: { n: 1 } }",
        )
        .await;
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$
         begin
           if new.result ->> 'n' = 'poison' then raise 'a damaged row' using errcode = 'XX001'; end if;
           return new;
         end $$;
         create trigger refuse before update on tasker.steps
         for each row execute function refuse();",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let task = world.submit("wide", json!({})).await;
    let worker = world.start(Handlers::new());

    wait_until("the other one is recorded", PATIENCE, async || {
        world.orchestrate().await;
        world
            .count("select count(*) from tasker.steps where state = 'complete'")
            .await
            == 1
    })
    .await;
    let waiting = worker.health();
    assert_eq!(waiting.outcomes_waiting, 1, "{waiting:?}");
    sqlx::raw_sql("drop trigger refuse on tasker.steps")
        .execute(&world.pool)
        .await
        .unwrap();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert!(detail.steps.iter().all(|step| step.attempts == 1));
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn steps_that_could_not_be_given_back_are_given_back_later() {
    let mut world = World::create().await.with_lease(3600.0);
    // A worker that drains gives back what it received and did not start.
    world.config.worker.concurrency = 1;
    world
        .template(
            "chain",
            "  - { name: a, handler: gate }\n  - { name: b, handler: builtin.noop, depends_on: [a] }",
        )
        .await;
    let world = world.with_continuation(16);
    sqlx::raw_sql(
        "create sequence refused;
         create function refuse() returns trigger language plpgsql as $$
         begin
           if (old.state, new.state) = ('in_progress', 'enqueued') and nextval('refused') <= 5 then
             raise exception 'not now' using errcode = '42501';
           end if;
           return new;
         end $$;
         create trigger refuse before update on tasker.steps
         for each row execute function refuse();",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let task = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    gate.wait_for_start().await;
    let mut operator = world.pool.begin().await.unwrap();
    sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
        .bind(task.0)
        .execute(&mut *operator)
        .await
        .unwrap();
    gate.open();
    wait_until("the outcome waits", PATIENCE, async || {
        world
            .count(
                "select count(*) from pg_stat_activity where datname = current_database()
                   and wait_event_type = 'Lock' and query like '%complete_steps%'",
            )
            .await
            == 1
            || worker.health().outcomes_waiting == 1
    })
    .await;
    // What follows is handed to a worker that does not start it any more.
    let drained = tokio::spawn(worker.drain());
    tokio::task::yield_now().await;
    operator.rollback().await.unwrap();

    assert!(drained.await.unwrap().is_complete);
    let b = world.task(task).await.steps.remove(1);
    assert_ne!(
        b.state,
        tasker_shared::state::StepState::InProgress,
        "its lease lasts an hour"
    );
    let heir = world.start_named("heir", gate.handlers());
    world.run_to(task, TaskState::Complete).await;
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_an_outcome_brought_about_is_announced_although_the_answer_was_lost() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = proxy.url().to_owned();
    let mut world = World::at(db, &url).await.with_lease(3600.0);
    world.config.worker.reporters = 1;
    world.config.database.call_timeout_ms = 1000;
    world.database = Database::connect(&world.config.database).await.unwrap();
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    // The reporter has its connection: it is about to get one more outcome.
    let warm_up = world.submit("one", json!({})).await;
    gate.open();
    world.run_to(warm_up, TaskState::Complete).await;
    gate.wait_for_start().await;
    let task = world.submit("one", json!({})).await;
    world.orchestrate().await;
    gate.wait_for_start().await;
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    listener.listen("tasker_task_state").await.unwrap();

    proxy.swallow_answers();
    gate.open();
    wait_until("the outcome is recorded", PATIENCE, async || {
        world.task(task).await.summary.state == TaskState::Complete
    })
    .await;
    proxy.resume();
    proxy.reset();

    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            let told = listener.recv().await.unwrap();
            if told.payload().contains(&task.to_string()) {
                return;
            }
        }
    });
    told.await.expect("the end of the task is announced");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_whose_sessions_were_ended_goes_on_within_a_moment() {
    let world = World::create().await.with_lease(3600.0);
    let runs = Arc::new(AtomicUsize::new(0));
    let handlers = {
        let runs = Arc::clone(&runs);
        Handlers::new().register("count", move |_: Step| {
            runs.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, HandlerError>(()) }
        })
    };
    world
        .template("one", "  - { name: only, handler: count }")
        .await;
    let worker = world.start(handlers);
    for round in 1..=3 {
        let task = world.submit("one", json!({})).await;
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
        assert_eq!(runs.load(Ordering::Relaxed), round);
        terminate(&world, "complete_steps").await;
    }
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}
