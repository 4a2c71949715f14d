//! The database goes away, refuses, or keeps silent: outcomes are recorded all the same.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::{Value, json};
use tasker_shared::config::DeploymentMode;
use tasker_shared::state::TaskState;
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;
use world::{GATE, Gate, NAMESPACE, World, error_of};

/// Ends every session of the database but the one that asks.
const TERMINATE_ALL: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
     where datname = current_database() and pid <> pg_backend_pid()";

/// Waits until so many handlers were started, of which one runs. That the database says so is not enough:
/// the worker may not have heard of it.
async fn wait_for_running(world: &World, gate: &Gate, starts: usize) {
    wait_until("the handler runs", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        gate.started.available_permits() >= starts
    })
    .await;
}

#[tokio::test]
async fn an_outcome_is_recorded_although_its_connection_was_ended() {
    let world = World::create().await;
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    // The connection of the reporter is open: it has recorded something before.
    let before = world.submit("one", json!({})).await;
    gate.open();
    wait_until("one is complete", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let complete = "select count(*) from tasker.tasks where state = 'complete'";
        world.count(complete).await == 1
    })
    .await;
    wait_for_running(&world, &gate, 2).await;

    let mut other = world.db.connect().await;
    let ended: i64 = sqlx::query_scalar(TERMINATE_ALL)
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(ended >= 3, "receiver, reporter and listener: {ended}");
    gate.open();

    for task in [before, task] {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].result, Some(json!(1)));
    }
    assert!(worker.drain().await.is_complete);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_recovers_by_itself_when_the_database_was_away() {
    let (world, proxy) = World::behind_proxy().await;
    world.template("one", GATE).await;
    let held = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    wait_for_running(&world, &gate, 1).await;

    proxy.cut();
    gate.open();
    gate.open();
    let missed = world.submit("one", json!({})).await;
    world.orchestrate().await;
    proxy.resume();

    for task in [held, missed] {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].result, Some(json!(1)));
    }
    assert!(worker.drain().await.is_complete);
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_whose_acknowledgement_got_lost_is_reported_again_and_counts_once() {
    let (mut world, proxy) = World::behind_proxy().await;
    // The one whose connection is open is the one that reports.
    world.config.worker.reporters = 1;
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    let warm_up = world.submit("one", json!({})).await;
    gate.open();
    wait_until(
        "the reporter has its connection",
        WAIT_TIMEOUT,
        async || {
            world.orchestrate().await;
            let complete = "select count(*) from tasker.tasks where state = 'complete'";
            world.count(complete).await == 1
        },
    )
    .await;
    wait_for_running(&world, &gate, 2).await;

    proxy.swallow_answers();
    gate.open();
    for task in [warm_up, task] {
        world.run_to(task, TaskState::Complete).await;
    }
    proxy.resume();
    proxy.reset();

    assert!(worker.drain().await.is_complete);
    let completions = "select count(*) from tasker.step_transitions where to_state = 'complete'";
    assert_eq!(world.count(completions).await, 2);
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_stored_fails_alone() {
    let world = World::create().await;
    world
        .template(
            "wide",
            "  - { name: good, handler: builtin.echo, input: { n: 1 } }
  - { name: poison, handler: builtin.echo, input: { n: poison } }
  - { name: fine, handler: builtin.echo, input: { n: 2 } }",
        )
        .await;
    world
        .refuse_moves("new.result ->> 'n' = 'poison'", "23514")
        .await;
    let task = world.submit("wide", json!({})).await;
    let worker = world.start(Handlers::new());

    let detail = world.run_to(task, TaskState::Error).await;

    let results = detail.steps.iter().map(|step| step.result.clone());
    assert_eq!(
        results.collect::<Vec<_>>(),
        [Some(json!({ "n": 1 })), None, Some(json!({ "n": 2 }))]
    );
    let (kind, message) = error_of(&detail.steps[1]);
    assert_eq!(kind, "report_refused");
    assert!(message.contains("not now"), "{message}");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_waits_for_a_database_that_is_not_migrated_yet() {
    let db = TestDatabase::empty().await;
    let url = db.url().to_owned();
    let world = World::at(db, &url).await;
    let worker = world.start(Handlers::new());

    tasker_shared::schema::migrate(&world.database)
        .await
        .unwrap();
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let task = world.submit("one", json!({})).await;

    world.run_to(task, TaskState::Complete).await;
    worker.drain().await;
    world.assert_sound().await;
}

/// Namespaces and tasks made while the worker runs already, found in this mode. One claim enqueues
/// the step; nothing wakes the worker a second time.
async fn finds_what_came_later(mode: DeploymentMode) {
    let world = World::create().await.with_mode(mode);
    let worker = world.start(Handlers::new());
    let step = "  - { name: only, handler: builtin.noop }";
    for namespace in ["first", "second"] {
        world.template_of(namespace, "one", step).await;
        for _ in 0..3 {
            let task = world.submit_to(namespace, "one", json!({})).await;
            world.claim().await;
            wait_until("the task is complete", WAIT_TIMEOUT, async || {
                world.task(task).await.summary.state == TaskState::Complete
            })
            .await;
        }
    }
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn namespaces_and_steps_are_found_by_notification_alone() {
    finds_what_came_later(DeploymentMode::EventDrivenOnly).await;
}

#[tokio::test]
async fn namespaces_and_steps_are_found_by_notification_and_polling() {
    finds_what_came_later(DeploymentMode::Hybrid).await;
}

#[tokio::test]
async fn namespaces_and_steps_are_found_by_polling_alone() {
    finds_what_came_later(DeploymentMode::PollingOnly).await;
}

#[tokio::test]
async fn a_worker_takes_the_steps_of_its_namespaces_only() {
    let mut world = World::create().await;
    world.config.worker.namespaces = vec!["mine".to_owned(), "not_yet".to_owned()];
    let step = "  - { name: only, handler: builtin.noop }";
    world.template_of("mine", "one", step).await;
    world.template_of(NAMESPACE, "one", step).await;
    let other = world.submit_to(NAMESPACE, "one", json!({})).await;
    let mine = world.submit_to("mine", "one", json!({})).await;

    let worker = world.start(Handlers::new());

    world.run_to(mine, TaskState::Complete).await;
    world.template_of("not_yet", "one", step).await;
    let late = world.submit_to("not_yet", "one", json!({})).await;
    world.run_to(late, TaskState::Complete).await;
    worker.drain().await;
    let untouched = world.task(other).await;
    assert_eq!(untouched.steps[0].attempts, 0);
    assert_eq!(untouched.steps[0].result, None::<Value>);
    world.assert_sound().await;
}
