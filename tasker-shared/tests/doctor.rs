//! The doctor names what is broken and nothing else, and finds a healthy database healthy in every
//! situation that the engine goes through.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{DIAMOND, LEASE, SINGLE, WORKER, World, complete, fail, new_task, retry};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, ReceivedStep, ReleasedStep};

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

async fn with_a_task(steps: &[(&str, &[&str])]) -> (World, TaskUuid) {
    let mut world = World::new().await;
    world.template("t", steps).await;
    let task = world.submit("t").await;
    (world, task)
}

/// A task whose first step runs.
async fn with_a_running_step() -> (World, TaskUuid, ReceivedStep) {
    let (mut world, task) = with_a_task(LINEAR).await;
    let step = world.start_one().await;
    (world, task, step)
}

/// Breaks a healthy database and expects one finding.
async fn assert_found(
    world: &mut World,
    sql: &str,
    check: &str,
    task: Option<TaskUuid>,
    step: Option<&str>,
) {
    world.assert_healthy().await;

    world.run(sql).await;

    let findings = world.findings().await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].check, check);
    assert_eq!(findings[0].task_uuid, task.map(|task| task.0));
    assert_eq!(findings[0].step_name.as_deref(), step);
    assert!(!findings[0].detail.is_empty());
}

#[tokio::test]
async fn a_wrong_count_of_parents_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "update tasker.steps set waiting_on = 2 where step_no = 2",
        "waiting_on_counts_unsatisfied_parents",
        Some(task),
        Some("second"),
    )
    .await;
}

#[tokio::test]
async fn a_wrong_count_of_active_steps_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "update tasker.tasks set active_steps = 7",
        "task_counters_match_steps",
        Some(task),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_wrong_count_of_failed_steps_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "update tasker.tasks set failed_steps = 1",
        "task_counters_match_steps",
        Some(task),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_missing_step_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "delete from tasker.steps where step_no = 2",
        "task_has_all_its_steps",
        Some(task),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_task_whose_state_belies_its_steps_is_found() {
    let (mut world, task, _) = with_a_running_step().await;
    assert_found(
        &mut world,
        "update tasker.tasks set state = 'pending'; delete from tasker.task_transitions",
        "task_state_fits_its_steps",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_ready_step_that_nothing_offers_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "delete from tasker.ready_steps",
        "no_task_is_stuck",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_retry_without_a_timer_is_found() {
    let (mut world, task, step) = with_a_running_step().await;
    world.report(&[retry(&step)]).await;
    assert_found(
        &mut world,
        "delete from tasker.timers",
        "no_task_is_stuck",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn an_enqueued_step_whose_message_is_lost_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    world.claim().await;
    assert_found(
        &mut world,
        "delete from pgmq.q_worker_test_queue",
        "no_task_is_stuck",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_running_step_whose_message_is_lost_is_found() {
    let (mut world, task, _) = with_a_running_step().await;
    assert_found(
        &mut world,
        "delete from pgmq.q_worker_test_queue",
        "no_task_is_stuck",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_step_that_is_offered_twice_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    assert_found(
        &mut world,
        "insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
        select task_uuid, step_no, template_id, priority, ready_at from tasker.ready_steps",
        "no_step_is_offered_twice",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_message_that_stands_for_no_step_is_found() {
    let (mut world, task) = with_a_task(LINEAR).await;
    world.claim().await;
    assert_found(
        &mut world,
        "select pgmq.send('worker_test_queue', message) from pgmq.q_worker_test_queue",
        "every_message_stands_for_a_step",
        Some(task),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_step_enqueued_before_its_parent_ended_is_found() {
    let (mut world, task, first) = with_a_running_step().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    assert_found(
        &mut world,
        "update tasker.steps set enqueued_at = enqueued_at - interval '1 h' where step_no = 2",
        "no_step_starts_before_its_parents_end",
        Some(task),
        Some("second"),
    )
    .await;
}

#[tokio::test]
async fn a_second_completion_is_found() {
    let (mut world, task, first) = with_a_running_step().await;
    world.report(&[complete(&first)]).await;
    assert_found(
        &mut world,
        "alter table tasker.step_transitions drop constraint a_step_moves_legally;
        insert into tasker.step_transitions (task_uuid, at, step_no, attempt, from_state, to_state)
        select task_uuid, at, step_no, attempt, 'complete', 'complete'
        from tasker.step_transitions where to_state = 'complete'",
        "no_step_completes_twice",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_step_whose_last_move_is_not_logged_is_found() {
    let (mut world, task, _) = with_a_running_step().await;
    assert_found(
        &mut world,
        "delete from tasker.step_transitions where to_state = 'in_progress'",
        "the_log_leads_to_the_state",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_gap_in_the_middle_of_a_log_is_found() {
    let (mut world, task, _) = with_a_running_step().await;
    assert_found(
        &mut world,
        "delete from tasker.step_transitions where to_state = 'enqueued'",
        "the_log_leads_to_the_state",
        Some(task),
        Some("first"),
    )
    .await;
}

#[tokio::test]
async fn a_task_whose_last_move_is_not_logged_is_found() {
    let (mut world, task, _) = with_a_running_step().await;
    assert_found(
        &mut world,
        "delete from tasker.task_transitions",
        "the_log_leads_to_the_state",
        Some(task),
        None,
    )
    .await;
}

#[tokio::test]
async fn every_check_is_broken_by_a_test_here() {
    let mut world = World::new().await;
    let source: String = world
        .value("select prosrc from pg_proc where oid = 'tasker.doctor()'::regprocedure")
        .await;

    let checks = source
        .split("select '")
        .skip(1)
        .map(|rest| rest.split('\'').next().unwrap())
        .collect::<Vec<_>>();

    assert!(checks.len() >= 11, "{checks:?}");
    for check in checks {
        let tested = include_str!("doctor.rs").contains(&format!("\"{check}\""));
        assert!(tested, "nothing breaks {check}");
    }
}

#[tokio::test]
async fn every_broken_task_is_named() {
    let (mut world, _) = with_a_task(DIAMOND).await;
    world.submit("t").await;

    world.run("delete from tasker.ready_steps").await;

    let mut tasks = world.findings().await;
    tasks.dedup_by_key(|finding| finding.task_uuid);
    assert_eq!(tasks.len(), 2);
}

async fn give_back(world: &mut World, step: &ReceivedStep, refused: bool, max_refusals: i32) {
    let released = ReleasedStep {
        id: step.id,
        attempt: step.attempt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        refused,
    };
    let delay = Duration::from_secs(1);
    steps::release_steps(
        &mut world.connection,
        WORKER,
        &[released],
        delay,
        max_refusals,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn an_empty_database_is_healthy() {
    World::new().await.assert_healthy().await;
}

#[tokio::test]
async fn a_task_is_healthy_at_each_stage_of_its_way() {
    let (mut world, _) = with_a_task(DIAMOND).await;
    world.assert_healthy().await;
    loop {
        world.claim().await;
        world.assert_healthy().await;
        let received = world.receive().await;
        world.assert_healthy().await;
        if received.is_empty() {
            break;
        }
        for step in received {
            world.report(&[complete(&step)]).await;
            world.assert_healthy().await;
        }
    }
}

#[tokio::test]
async fn a_retry_is_healthy_while_it_waits_when_it_is_due_and_when_it_is_claimed() {
    let (mut world, _, step) = with_a_running_step().await;
    world.report(&[retry(&step)]).await;
    world.assert_healthy().await;
    world.advance(Duration::from_secs(5)).await;
    world.assert_healthy().await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    world.assert_healthy().await;
    world.claim().await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_lost_worker_s_step_is_healthy() {
    let (mut world, _, _) = with_a_running_step().await;
    world.expire_leases().await;
    world.assert_healthy().await;
    world.receive().await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_failed_task_is_healthy_and_so_is_one_with_a_failed_branch() {
    let (mut world, _) = with_a_task(DIAMOND).await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;
    world.claim().await;
    let branches = world.receive().await;
    world.report(&[fail(&branches[0])]).await;
    world.assert_healthy().await;
    world.report(&[fail(&branches[1])]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_cancelled_task_is_healthy_with_and_without_its_running_step() {
    for outcome in [complete, fail, retry] {
        let (mut world, task, step) = with_a_running_step().await;
        operator::cancel_task(&mut world.connection, task, "me", None)
            .await
            .unwrap();
        world.assert_healthy().await;
        let running = [(step.id, step.attempt)];
        steps::extend_leases(&mut world.connection, WORKER, &running, LEASE)
            .await
            .unwrap();
        world.assert_healthy().await;
        world.report(&[outcome(&step)]).await;
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_cancelled_task_whose_step_is_given_back_is_healthy() {
    let (mut world, task, step) = with_a_running_step().await;
    operator::cancel_task(&mut world.connection, task, "me", None)
        .await
        .unwrap();
    give_back(&mut world, &step, false, 3).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_cancelled_task_that_never_started_or_had_failed_is_healthy() {
    let (mut world, task) = with_a_task(LINEAR).await;
    operator::cancel_task(&mut world.connection, task, "me", None)
        .await
        .unwrap();
    world.assert_healthy().await;

    let (mut world, task, step) = with_a_running_step().await;
    world.report(&[fail(&step)]).await;
    operator::cancel_task(&mut world.connection, task, "me", None)
        .await
        .unwrap();
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_refused_step_is_healthy_until_and_after_it_fails() {
    let (mut world, _, step) = with_a_running_step().await;
    give_back(&mut world, &step, true, 2).await;
    world.assert_healthy().await;
    world.expire_leases().await;
    let again = world.receive().await.remove(0);
    give_back(&mut world, &again, true, 2).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_operators_settle_is_healthy() {
    for settlement in [
        Settlement::Skip(json!(null)),
        Settlement::Resolve(json!({ "by": "hand" })),
    ] {
        for step in ["a", "b", "c", "d"] {
            let (mut world, task) = with_a_task(DIAMOND).await;
            operator::settle_step(&mut world.connection, task, step, &settlement, "me", None)
                .await
                .unwrap();
            world.assert_healthy().await;
            world.run_all().await;
            world.assert_healthy().await;
        }
    }
}

#[tokio::test]
async fn a_failed_task_is_healthy_after_it_is_retried_or_resolved() {
    let (mut world, task, step) = with_a_running_step().await;
    world.report(&[fail(&step)]).await;
    operator::retry_step(&mut world.connection, task, "first", "me", None)
        .await
        .unwrap();
    world.assert_healthy().await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    operator::resolve_task(&mut world.connection, task, "me", None)
        .await
        .unwrap();
    world.assert_healthy().await;
}

#[tokio::test]
async fn tasks_of_several_namespaces_are_healthy_together() {
    let (mut world, _) = with_a_task(SINGLE).await;
    world
        .apply(json!({
            "namespace": "other", "name": "t", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    let mut task = new_task("t");
    task.namespace = "other".to_owned();
    tasker_shared::tasks::submit_tasks(&mut world.connection, &[task])
        .await
        .unwrap();
    world.claim().await;
    world.assert_healthy().await;
    let namespaces = ["test".to_owned(), "other".to_owned()];
    let received = steps::receive_steps(&mut world.connection, &namespaces, WORKER, 10, LEASE)
        .await
        .unwrap();
    assert_eq!(received.len(), 2);
    world.assert_healthy().await;
    let reports = received.iter().map(complete).collect::<Vec<_>>();
    world.report(&reports).await;
    world.assert_healthy().await;
}
