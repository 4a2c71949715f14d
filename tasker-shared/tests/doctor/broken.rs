//! Databases with one thing broken, and what is found.

use tasker_shared::doctor;
use tasker_shared::ids::TaskUuid;

use crate::support::{DIAMOND, World, complete, retry};
use crate::{LINEAR, with_a_running_step, with_a_task};

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
async fn a_queue_that_is_missing_or_lacks_its_index_is_found() {
    for damage in [
        "drop table pgmq.q_worker_test_queue",
        "alter table pgmq.q_worker_test_queue rename to elsewhere",
        "do $$ begin execute (
           select format('drop index %s', i.indexrelid::regclass) from pg_index i
           where i.indrelid = 'pgmq.q_worker_test_queue'::regclass and i.indexprs is not null
         ); end $$",
    ] {
        let (mut world, _) = with_a_task(LINEAR).await;
        assert_found(&mut world, damage, "every_queue_can_be_used", None, None).await;
        world.run("select tasker.repair_queue('test')").await;
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_queue_that_lacks_messages_is_repaired() {
    let (mut world, _, _) = with_a_running_step().await;
    world.submit("t").await;
    world.claim().await;
    world.run("delete from pgmq.q_worker_test_queue").await;

    for repaired in [&["test"][..], &[]] {
        let namespaces = doctor::repair_queues(&mut world.connection).await.unwrap();
        assert_eq!(namespaces, repaired);
        world.assert_healthy().await;
    }
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
        "alter table tasker.step_log drop constraint a_step_moves_legally;
        insert into tasker.step_log (task_uuid, at, step_no, attempt, from_state, to_state)
        select task_uuid, at, step_no, attempt, 'complete', 'complete'
        from tasker.step_log where to_state = 'complete'",
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
        "delete from tasker.step_log where to_state = 'in_progress'",
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
        "delete from tasker.step_log where to_state = 'enqueued'",
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
        .value("select prosrc from pg_proc where oid = 'tasker.findings()'::regprocedure")
        .await;

    let checks = source
        .split("select '")
        .skip(1)
        .map(|rest| rest.split('\'').next().unwrap())
        .collect::<Vec<_>>();

    assert!(checks.len() >= 11, "{checks:?}");
    for check in checks {
        let tested = include_str!("broken.rs").contains(&format!("\"{check}\""));
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
