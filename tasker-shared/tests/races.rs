//! What happens when two processes do something about the same task or step at the same moment.
//! One holds its transaction open; the other either goes on without waiting, or is seen to wait.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{DIAMOND, LEASE, SINGLE, WORKER, World, complete, fail, new_task, retry};
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, ReceivedStep, ReleasedStep};
use tasker_shared::tasks;

const OTHER: &str = "worker-2";

/// A diamond whose two branches run.
async fn with_two_branches_running(world: &mut World) -> (TaskUuid, Vec<ReceivedStep>) {
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;
    assert_eq!(branches.len(), 2);
    (task, branches)
}

/// A task whose only step runs.
async fn with_one_step_running(world: &mut World) -> (TaskUuid, ReceivedStep) {
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    (task, step)
}

/// A task whose first step waits for a retry that is due, on a clock that stands still.
async fn with_a_retry_due(world: &mut World) -> TaskUuid {
    let (task, step) = with_one_step_running(world).await;
    world.report(&[retry(&step)]).await;
    world
        .run("update tasker.timers set due_at = now() - interval '1 h'")
        .await;
    task
}

fn is_conflict<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    let refusal = result.as_ref().err().and_then(Error::refusal);
    refusal.is_some_and(|refusal| refusal.kind == RefusalKind::Conflict)
}

async fn ready_rows(world: &mut World) -> i64 {
    world.value("select count(*) from tasker.ready_steps").await
}

#[tokio::test]
async fn a_claim_leaves_out_what_another_is_claiming() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for _ in 0..5 {
        world.submit("single").await;
    }
    let mut first = world.begin().await;

    let mut claimed = readiness::claim_ready_tasks(&mut first, "o-1", 2)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 2);
    let rest = world.claim().await;
    first.commit().await.unwrap();

    assert_eq!(rest.len(), 3);
    claimed.extend(rest);
    claimed.sort_by_key(|task| task.task_uuid);
    claimed.dedup_by_key(|task| task.task_uuid);
    assert_eq!(claimed.len(), 5);
    assert_eq!(world.receive().await.len(), 5);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_a_lost_orchestrator_was_claiming_is_claimed_by_another() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let mut first = world.begin().await;
    let lost = readiness::claim_ready_tasks(&mut first, "o-1", 10).await;
    assert_eq!(lost.unwrap().len(), 1);
    assert!(world.claim().await.is_empty());

    first.rollback().await.unwrap();

    assert_eq!(world.claim().await.len(), 1);
    assert_eq!(world.receive().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_roots_of_a_pending_task_can_be_claimed_by_two_at_once() {
    let mut world = World::new().await;
    world.template("roots", &[("a", &[]), ("b", &[])]).await;
    let task = world.submit("roots").await;
    let mut first = world.begin().await;
    readiness::claim_ready_tasks(&mut first, "o-1", 1)
        .await
        .unwrap();

    let second = world
        .start_blocked(async |mut connection| {
            readiness::claim_ready_tasks(&mut connection, "o-2", 10)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(second.await.unwrap().len(), 1);
    let starts: i64 = world
        .value("select count(*) from tasker.task_transitions where to_state = 'in_progress'")
        .await;
    assert_eq!(starts, 1);
    assert_eq!(world.run_all().await.len(), 2);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_claim_is_dated_after_the_outcome_that_made_its_step_ready() {
    let mut world = World::new().await;
    let (_, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    sqlx::query("lock table tasker.ready_steps in access exclusive mode")
        .execute(&mut *first)
        .await
        .unwrap();

    let claim = world
        .start_blocked(async |mut connection| {
            readiness::claim_ready_tasks(&mut connection, "o-2", 10)
                .await
                .unwrap()
        })
        .await;
    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    steps::complete_steps(&mut first, WORKER, &reports)
        .await
        .unwrap();
    first.commit().await.unwrap();

    assert_eq!(claim.await.unwrap().len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_join_whose_parents_complete_at_once_is_readied_once() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    let one = steps::complete_steps(&mut first, WORKER, &[complete(&branches[0])])
        .await
        .unwrap();

    let report = complete(&branches[1]);
    let two = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, OTHER, &[report])
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();
    let two = two.await.unwrap();

    assert!(one.announcements.ready.is_empty());
    assert_eq!(two.announcements.ready, [task.0]);
    assert_eq!(ready_rows(&mut world).await, 1);
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_join_does_not_count_a_parent_whose_outcome_was_rolled_back() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    steps::complete_steps(&mut first, WORKER, &[complete(&branches[0])])
        .await
        .unwrap();

    let report = complete(&branches[1]);
    let two = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, OTHER, &[report])
                .await
                .unwrap()
        })
        .await;
    first.rollback().await.unwrap();

    assert!(two.await.unwrap().announcements.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    world.assert_healthy().await;
    world.report(&[complete(&branches[0])]).await;
    assert_eq!(world.run_all().await, ["d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
}

#[tokio::test]
async fn an_outcome_that_comes_while_its_task_is_cancelled_is_kept_and_readies_nothing() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    operator::cancel_task(&mut first, task, "me", None)
        .await
        .unwrap();

    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &reports)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(outcome.await.unwrap().stale, Vec::<usize>::new());
    assert_eq!(world.step_state(task, "b").await, StepState::Complete);
    assert_eq!(world.step_state(task, "d").await, StepState::Cancelled);
    assert_eq!(world.task_state(task).await, TaskState::Cancelled);
    assert!(world.claim().await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_cancelled_while_an_outcome_is_recorded_keeps_it_and_stops() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    steps::complete_steps(&mut first, WORKER, &reports)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            operator::cancel_task(&mut connection, task, "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert_eq!(world.step_state(task, "d").await, StepState::Cancelled);
    assert!(world.claim().await.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_that_completes_while_it_is_cancelled_stays_complete() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    let mut first = world.begin().await;
    steps::complete_steps(&mut first, WORKER, &[complete(&step)])
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            operator::cancel_task(&mut connection, task, "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    let refused = cancel.await.unwrap();
    assert!(is_conflict(&refused), "{refused:?}");
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_an_outcome_and_the_report_that_its_lease_ran_out_the_first_counts() {
    for outcome_first in [true, false] {
        let mut world = World::new().await;
        let (task, step) = with_one_step_running(&mut world).await;
        world.expire_leases().await;
        let expired = world.receive().await.remove(0);
        assert!(expired.expired.is_some());
        let (one, two) = if outcome_first {
            (complete(&step), retry(&expired))
        } else {
            (retry(&expired), complete(&step))
        };
        let mut first = world.begin().await;
        let counted = steps::complete_steps(&mut first, WORKER, &[one])
            .await
            .unwrap();

        let late = world
            .start_blocked(async move |mut connection| {
                steps::complete_steps(&mut connection, OTHER, &[two])
                    .await
                    .unwrap()
            })
            .await;
        first.commit().await.unwrap();

        assert_eq!(counted.stale, Vec::<usize>::new());
        assert_eq!(late.await.unwrap().stale, [0]);
        let expected = if outcome_first {
            StepState::Complete
        } else {
            StepState::WaitingForRetry
        };
        assert_eq!(world.step_state(task, "only").await, expected);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_step_whose_outcome_is_being_recorded_is_not_received_again() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    world.expire_leases().await;
    let mut first = world.begin().await;
    steps::complete_steps(&mut first, WORKER, &[complete(&step)])
        .await
        .unwrap();

    assert!(world.receive().await.is_empty(), "and it did not wait");
    first.commit().await.unwrap();

    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_outcome_that_comes_while_its_expired_step_is_received_still_counts() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    world.expire_leases().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;
    let expired = steps::receive_steps(&mut first, &namespaces, OTHER, 10, LEASE)
        .await
        .unwrap()
        .remove(0);

    let report = complete(&step);
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &[report])
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(outcome.await.unwrap().stale, Vec::<usize>::new());
    assert_eq!(world.report(&[retry(&expired)]).await.stale, [0]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_workers_never_receive_the_same_step() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for _ in 0..4 {
        world.submit("single").await;
    }
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;

    let some = steps::receive_steps(&mut first, &namespaces, OTHER, 3, LEASE)
        .await
        .unwrap();
    let rest = world.receive().await;
    first.commit().await.unwrap();

    assert_eq!((some.len(), rest.len()), (3, 1));
    assert!(some.iter().all(|step| step.id != rest[0].id));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_retried_by_hand_while_its_task_is_cancelled_is_refused() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    world.report(&[fail(&branches[0])]).await;
    let mut first = world.begin().await;
    operator::cancel_task(&mut first, task, "me", None)
        .await
        .unwrap();

    let rerun = world
        .start_blocked(async move |mut connection| {
            operator::retry_step(&mut connection, task, "b", "you", None).await
        })
        .await;
    first.commit().await.unwrap();

    let refused = rerun.await.unwrap();
    assert!(is_conflict(&refused), "{refused:?}");
    assert_eq!(world.step_state(task, "b").await, StepState::Error);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_cancelled_while_a_step_is_retried_by_hand_stops_that_step_too() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    world
        .report(&[fail(&branches[0]), complete(&branches[1])])
        .await;
    let mut first = world.begin().await;
    operator::retry_step(&mut first, task, "b", "you", None)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            operator::cancel_task(&mut connection, task, "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert_eq!(world.step_state(task, "b").await, StepState::Cancelled);
    assert_eq!(world.task_state(task).await, TaskState::Cancelled);
    assert!(world.claim().await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_is_being_skipped_is_not_claimed_and_its_row_is_dropped() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    world.report(&reports).await;
    let mut first = world.begin().await;
    operator::settle_step(&mut first, task, "d", &skip(), "me", None)
        .await
        .unwrap();

    assert!(world.claim().await.is_empty(), "and it did not wait");
    assert_eq!(ready_rows(&mut world).await, 1);
    first.commit().await.unwrap();

    assert!(world.claim().await.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_skipped_while_it_is_claimed_takes_its_message_along() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut first = world.begin().await;
    readiness::claim_ready_tasks(&mut first, "o-1", 10)
        .await
        .unwrap();

    let skipping = world
        .start_blocked(async move |mut connection| {
            operator::settle_step(&mut connection, task, "only", &skip(), "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    skipping.await.unwrap().unwrap();
    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_is_received_while_it_is_skipped_runs_on() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;
    let step = steps::receive_steps(&mut first, &namespaces, WORKER, 10, LEASE)
        .await
        .unwrap()
        .remove(0);

    let skipping = world
        .start_blocked(async move |mut connection| {
            operator::settle_step(&mut connection, task, "only", &skip(), "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    let refused = skipping.await.unwrap();
    assert!(is_conflict(&refused), "{refused:?}");
    world.report(&[complete(&step)]).await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_due_retry_fires_once_however_many_look_at_the_timers() {
    let mut world = World::new().await;
    with_a_retry_due(&mut world).await;
    let mut first = world.begin().await;

    let one = readiness::fire_due_timers(&mut first, 10).await.unwrap();
    let two = readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    first.commit().await.unwrap();

    assert_eq!((one.fired, two.fired), (1, 0));
    assert_eq!(ready_rows(&mut world).await, 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_retry_that_an_operator_and_the_timer_start_at_once_starts_once() {
    let mut world = World::new().await;
    let task = with_a_retry_due(&mut world).await;
    let mut first = world.begin().await;
    readiness::fire_due_timers(&mut first, 10).await.unwrap();

    let by_hand = world
        .start_blocked(async move |mut connection| {
            operator::retry_step(&mut connection, task, "only", "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    by_hand.await.unwrap().unwrap();
    assert_eq!(ready_rows(&mut world).await, 1);
    world.assert_healthy().await;
    assert_eq!(world.start_one().await.attempt, 2);
}

#[tokio::test]
async fn a_timer_that_fires_while_its_task_is_cancelled_starts_nothing() {
    let mut world = World::new().await;
    let task = with_a_retry_due(&mut world).await;
    let mut first = world.begin().await;
    readiness::fire_due_timers(&mut first, 10).await.unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            operator::cancel_task(&mut connection, task, "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert!(world.claim().await.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_was_given_back_meanwhile_does_not_complete() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    let release = ReleasedStep {
        id: step.id,
        attempt: step.attempt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        refused: false,
    };
    let mut first = world.begin().await;
    steps::release_steps(&mut first, WORKER, &[release], Duration::ZERO, 3)
        .await
        .unwrap();

    let report = complete(&step);
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &[report])
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(outcome.await.unwrap().stale, [0]);
    assert_eq!(world.step_state(task, "only").await, StepState::Enqueued);
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["only"]);
}

#[tokio::test]
async fn a_key_that_two_use_at_once_gives_both_the_task_of_the_one_that_commits() {
    for first_commits in [true, false] {
        let mut world = World::new().await;
        world.template("single", SINGLE).await;
        let mut task = new_task("single");
        task.idempotency_key = Some("k".to_owned());
        let mut first = world.begin().await;
        let one = tasks::submit_tasks(&mut first, std::slice::from_ref(&task))
            .await
            .unwrap();

        let two = world
            .start_blocked(async move |mut connection| {
                tasks::submit_tasks(&mut connection, &[task]).await.unwrap()
            })
            .await;
        if first_commits {
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        let two = two.await.unwrap();

        assert_eq!(two[0].created, !first_commits);
        assert_eq!(two[0].task_uuid == one[0].task_uuid, first_commits);
        assert_eq!(world.claim().await.len(), 1);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_version_that_two_apply_at_once_exists_once() {
    let mut world = World::new().await;
    let document = json!({
        "namespace": "new", "name": "t", "version": "1.0.0",
        "steps": [{
            "name": "a", "handler": "h", "depends_on": [], "input": {}, "timeout_ms": 1000,
            "retry": {
                "max_attempts": 1, "backoff": "fixed", "base_ms": 0, "max_ms": 0, "jitter": false
            },
        }],
    });
    let apply = "select created from tasker.apply_template($1)";
    let mut first = world.begin().await;
    let one: bool = sqlx::query_scalar(apply)
        .bind(&document)
        .fetch_one(&mut *first)
        .await
        .unwrap();

    let two = world
        .start_blocked(async move |mut connection| {
            sqlx::query_scalar::<_, bool>(apply)
                .bind(&document)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert!(one);
    assert!(!two.await.unwrap());
}

fn skip() -> Settlement {
    Settlement::Skip(json!(null))
}
