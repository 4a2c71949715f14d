//! Outcomes and steps given back that the database refuses, for a while or for ever.

use serde_json::json;
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;

use crate::wait_until_healthy;
use crate::world::{Gate, World, error_of};

/// Lets the first so many outcomes that are recorded fail with this SQLSTATE.
async fn refuse_outcomes(world: &World, times: i32, sqlstate: &str) {
    let condition = format!("new.state = 'complete' and nextval('refused') <= {times}");
    world.refuse_moves(&condition, sqlstate).await;
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
    world
        .refuse_moves("new.result ->> 'n' = 'poison'", "XX001")
        .await;
    let task = world.submit("wide", json!({})).await;
    let worker = world.start(Handlers::new());

    let both = "the other one is recorded, and this one waits";
    wait_until(both, WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let recorded = "select count(*) from tasker.steps where state = 'complete'";
        world.count(recorded).await == 1 && worker.health().outcomes_waiting == 1
    })
    .await;
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
    let given_back = "(old.state, new.state) = ('in_progress', 'enqueued')";
    world
        .refuse_moves(
            &format!("{given_back} and nextval('refused') <= 5"),
            "42501",
        )
        .await;
    let task = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.orchestrate().await;
    gate.wait_for_start().await;
    let operator = world.hold(task).await;
    gate.open();
    wait_until("the outcome waits", WAIT_TIMEOUT, async || {
        world
            .count(
                "select count(*) from pg_stat_activity where datname = current_database()
                   and wait_event_type = 'Lock' and query like '%complete_%step%'",
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
