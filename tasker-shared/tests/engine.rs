//! The path of a task through the engine's SQL, from submit to its end.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{SINGLE, WORKER, World, complete, fail, new_task, report, retry};
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, ReceivedStep, ReleasedStep, StepOutcome};
use tasker_shared::tasks;

const DIAMOND: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

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

    operator::retry_step(&mut world.connection, task, "first", "me", None)
        .await
        .unwrap();

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
    operator::settle_step(
        &mut world.connection,
        task,
        "first",
        &settlement,
        "me",
        Some("done"),
    )
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
        operator::settle_step(&mut world.connection, task, step, &settlement, "me", None)
            .await
            .unwrap();
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

    operator::cancel_task(&mut world.connection, task, "me", Some("stop"))
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
async fn an_expired_lease_gives_the_step_back_and_fences_its_old_holder() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let old = world.start_one().await;
    assert!(world.receive().await.is_empty());
    world
        .execute("update pgmq.q_worker_test_queue set vt = clock_timestamp() - interval '1 s'")
        .await;

    let timers = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(timers.woken_queues, ["worker_test_queue"]);
    let expired = world.receive().await.remove(0);

    assert_eq!(expired.expired.as_deref(), Some("lease_expired"));
    assert_eq!(expired.attempt, 1);
    world.report(&[retry(&expired)]).await;
    assert_eq!(world.report(&[complete(&old)]).await.stale, [0]);
    world.advance(Duration::from_secs(2)).await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    assert_eq!(world.start_one().await.attempt, 2);
    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    world.assert_healthy().await;
}

/// A crash of the server may undo claims, which are not durable, and give their message numbers
/// away again. Whoever still works under such a claim must not touch what has its number now.
#[tokio::test]
async fn a_report_that_names_the_message_of_another_step_is_stale() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.submit("single").await;
    world.claim().await;
    let [first, second] = world.receive().await.try_into().unwrap();
    let undone = ReceivedStep {
        msg_id: second.msg_id,
        ..first.clone()
    };

    assert_eq!(world.report(&[complete(&undone)]).await.stale, [0]);
    let released = ReleasedStep {
        id: undone.id,
        attempt: undone.attempt,
        msg_id: undone.msg_id,
        namespace: undone.namespace,
        refused: false,
    };
    let released = steps::release_steps(
        &mut world.connection,
        WORKER,
        &[released],
        Duration::ZERO,
        1,
    )
    .await
    .unwrap();
    assert_eq!(released.stale, [0]);

    let both = [complete(&first), complete(&second)];
    assert_eq!(world.report(&both).await.stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_released_step_is_received_again_and_its_attempt_does_not_count() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.submit("linear").await;
    let step = world.start_one().await;
    let release = ReleasedStep {
        id: step.id,
        attempt: step.attempt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        refused: false,
    };

    let released = steps::release_steps(
        &mut world.connection,
        support::WORKER,
        &[release],
        Duration::from_secs(1),
        2,
    )
    .await
    .unwrap();

    assert_eq!(released.announcements.queues, ["worker_test_queue"]);
    world.assert_healthy().await;
    assert_eq!(world.receive().await[0].attempt, 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_nobody_can_run_fails_after_its_last_refusal() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    world.claim().await;

    for refusal in 1..=2 {
        let step = world.receive().await.remove(0);
        let release = ReleasedStep {
            id: step.id,
            attempt: step.attempt,
            msg_id: step.msg_id,
            namespace: step.namespace.clone(),
            refused: true,
        };
        steps::release_steps(
            &mut world.connection,
            support::WORKER,
            &[release],
            Duration::ZERO,
            2,
        )
        .await
        .unwrap();
        world.assert_healthy().await;
        assert_eq!(
            world.task_state(task).await == TaskState::Error,
            refusal == 2
        );
    }

    let detail = world.task(task).await;
    assert_eq!(
        detail.steps[0].error.as_ref().unwrap()["kind"],
        "unknown_handler"
    );
}

#[tokio::test]
async fn the_same_key_gives_the_first_task_and_keys_belong_to_a_template() {
    let mut world = World::new().await;
    world.template("one", LINEAR).await;
    world.template("two", LINEAR).await;
    let key = Some("k".to_owned());

    let first = world
        .submit_with("one", |task| task.idempotency_key = key.clone())
        .await;
    let again = world
        .submit_with("one", |task| task.idempotency_key = key.clone())
        .await;
    let other = world
        .submit_with("two", |task| task.idempotency_key = key.clone())
        .await;

    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(world.claim().await.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_key_twice_in_one_batch_makes_one_task() {
    let mut world = World::new().await;
    world.template("one", LINEAR).await;
    let mut task = new_task("one");
    task.idempotency_key = Some("k".to_owned());

    let submitted = tasks::submit_tasks(
        &mut world.connection,
        &[task.clone(), new_task("one"), task],
    )
    .await
    .unwrap();

    assert_eq!(submitted[0].task_uuid, submitted[2].task_uuid);
    assert_eq!(
        submitted.iter().map(|s| s.created).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(world.claim().await.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn ten_thousand_tasks_are_submitted_in_one_call() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;

    let submitted = tasks::submit_tasks(&mut world.connection, &vec![new_task("linear"); 10_000])
        .await
        .unwrap();

    assert_eq!(submitted.len(), 10_000);
    assert!(submitted.iter().all(|submitted| submitted.created));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_batch_with_one_bad_task_submits_none_and_names_it() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;

    let refused = tasks::submit_tasks(
        &mut world.connection,
        &[new_task("linear"), new_task("absent")],
    )
    .await
    .unwrap_err();

    assert!(refused.to_string().contains("test/absent"), "{refused}");
    assert!(world.claim().await.is_empty());
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
