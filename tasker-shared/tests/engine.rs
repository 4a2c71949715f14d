//! The path of a task through the engine's SQL, from submit to its end.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{DIAMOND, World, complete, fail, report, retry};
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, StepOutcome};

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

#[tokio::test]
async fn a_diamond_runs_in_order_and_completes() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;

    let order = world.run_all().await;

    assert_eq!(order, ["a", "b", "c", "d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_gets_the_results_of_the_steps_it_depends_on() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    world.submit("diamond").await;
    for _ in 0..2 {
        world.claim().await;
        let received = world.receive().await;
        let reports = received.iter().map(complete).collect::<Vec<_>>();
        world.report(&reports).await;
    }

    let join = world.start_one().await;

    let results = serde_json::Value::Object(join.dependency_results);
    assert_eq!(
        results,
        json!({ "b": { "done": "b" }, "c": { "done": "c" } })
    );
}

#[tokio::test]
async fn a_late_outcome_changes_nothing() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;

    let again = world.report(&[fail(&step)]).await;

    assert_eq!(again.stale, [0]);
    assert_eq!(world.step_state(task, "first").await, StepState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_retry_waits_for_its_timer_and_runs_again() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let step = world.start_one().await;
    world.advance(Duration::ZERO).await;

    let reported = world.report(&[retry(&step)]).await;
    assert!(reported.announcements.timer_set);
    assert!(world.claim().await.is_empty());
    world.assert_healthy().await;
    world.advance(Duration::from_millis(999)).await;
    let early = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(early.fired, 0);
    world.advance(Duration::from_millis(2)).await;
    let due = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();

    assert_eq!(due.fired, 1);
    let step = world.start_one().await;
    assert_eq!(step.attempt, 2);
    world.report(&[complete(&step)]).await;
    assert_eq!(world.step_state(task, "first").await, StepState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_fails_for_good_after_its_last_attempt_and_other_branches_run_on() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;

    world.report(&[fail(&branches[0])]).await;
    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    let reported = world.report(&[complete(&branches[1])]).await;

    assert_eq!(reported.announcements.finished, [task.0]);
    assert_eq!(world.task_state(task).await, TaskState::Error);
    assert_eq!(world.step_state(task, "d").await, StepState::Pending);
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_operator_retries_a_failed_step_and_the_task_goes_on() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    assert_eq!(world.task_state(task).await, TaskState::Error);

    world.operate(task, Action::RetryStep("first")).await;

    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["first", "second"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_resolved_step_hands_its_result_to_its_dependents() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;

    let settlement = Settlement::Resolve(json!({ "by": "hand" }));
    Action::SettleStep("first", &settlement)
        .carry_out(&mut world.connection, task, "me", Some("done"))
        .await
        .unwrap();

    let second = world.start_one().await;
    assert_eq!(second.dependency_results["first"], json!({ "by": "hand" }));
    world.report(&[complete(&second)]).await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn every_step_of_a_task_can_be_skipped() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    world.claim().await;

    for step in ["d", "a", "b", "c"] {
        let settlement = Settlement::Skip(json!(null));
        world
            .operate(task, Action::SettleStep(step, &settlement))
            .await;
        world.assert_healthy().await;
    }

    assert_eq!(world.task_state(task).await, TaskState::Complete);
    assert!(world.receive().await.is_empty());
    world.claim().await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn cancelling_stops_what_has_not_started_and_tells_what_runs() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;

    Action::CancelTask
        .carry_out(&mut world.connection, task, "me", Some("stop"))
        .await
        .unwrap();

    world.assert_healthy().await;
    let running = branches
        .iter()
        .map(|step| (step.id, step.attempt))
        .collect::<Vec<_>>();
    let lost = steps::extend_leases(
        &mut world.connection,
        support::WORKER,
        &running,
        support::LEASE,
    )
    .await
    .unwrap();
    assert!(lost.iter().all(|lost| lost.reason == "cancelled"));
    assert_eq!(lost.len(), 2);
    world
        .report(&[complete(&branches[0]), retry(&branches[1])])
        .await;
    assert_eq!(world.step_state(task, "b").await, StepState::Complete);
    assert_eq!(world.step_state(task, "c").await, StepState::Cancelled);
    assert_eq!(world.step_state(task, "d").await, StepState::Cancelled);
    assert_eq!(world.task_state(task).await, TaskState::Cancelled);
    assert!(world.claim().await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_more_urgent_task_is_claimed_first() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let low = world.submit_with("linear", |task| task.priority = -1).await;
    let middle = world.submit("linear").await;
    let high = world.submit_with("linear", |task| task.priority = 5).await;

    let mut order = Vec::new();
    for _ in 0..3 {
        let claimed = readiness::claim_ready_tasks(&mut world.connection, "o", 1)
            .await
            .unwrap();
        order.extend(claimed.iter().map(|task| task.task_uuid));
    }

    assert_eq!(order, [high, middle, low]);
}

#[tokio::test]
async fn a_null_result_is_a_result() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let step = world.start_one().await;

    world
        .report(&[report(&step, StepOutcome::Complete(json!(null)))])
        .await;

    assert_eq!(world.step_state(task, "first").await, StepState::Complete);
    assert_eq!(
        world.start_one().await.dependency_results["first"],
        json!(null)
    );
}
