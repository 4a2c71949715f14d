//! Two orchestrators at once, and orders that come while a step is claimed.

use serde_json::json;
use tasker_shared::operator::Action;
use tasker_shared::queues::Guard;
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps;

use crate::support::{SINGLE, WORKER, World, act, complete};
use crate::{ready_rows, skip, with_two_branches_running};

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

    let second =
        readiness::claim_ready_tasks_of(&mut world.connection, "o-2", 10, &[], Guard::AfterFailure)
            .await
            .unwrap();
    first.commit().await.unwrap();

    assert_eq!((second.tasks.len(), second.locked), (0, 1));
    assert_eq!(world.claim().await.len(), 1);
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
    steps::complete_steps(&mut first, WORKER, &reports, steps::Locks::Wait)
        .await
        .unwrap();
    first.commit().await.unwrap();

    assert_eq!(claim.await.unwrap().len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_is_being_skipped_is_not_claimed_and_its_row_is_dropped() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    world.report(&reports).await;
    let mut first = world.begin().await;
    act(&mut first, task, Action::SettleStep("d", &skip()))
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
            act(&mut connection, task, Action::SettleStep("only", &skip())).await
        })
        .await;
    first.commit().await.unwrap();

    skipping.await.unwrap().unwrap();
    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_ready_step_that_somebody_holds_is_left_out_and_claimed_later() {
    let mut world = World::new().await;
    let (_, branches) = with_two_branches_running(&mut world).await;
    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    world.report(&reports).await;
    world.template("single", SINGLE).await;
    let other = world.submit("single").await;
    let mut first = world.begin().await;
    // As a call does that is about to be refused.
    sqlx::query(
        "select from tasker.steps where state = 'pending' and step_no = 4 for no key update",
    )
    .execute(&mut *first)
    .await
    .unwrap();
    world.run("set lock_timeout to '10s'").await;

    let claimed =
        readiness::claim_ready_tasks_of(&mut world.connection, "o", 10, &[], Guard::AfterFailure)
            .await
            .unwrap();

    assert_eq!((claimed.tasks.len(), claimed.locked), (1, 1));
    assert_eq!(claimed.tasks[0].task_uuid, other);
    assert_eq!(ready_rows(&mut world).await, 1);
    first.rollback().await.unwrap();
    assert_eq!(world.claim().await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_wide_task_that_another_transaction_holds_keeps_no_other_from_a_claim() {
    let mut world = World::new().await;
    let names = (0..50).map(|number| format!("step_{number}"));
    let steps: Vec<_> = names
        .map(|name| json!({ "name": name, "handler": "builtin.noop" }))
        .collect();
    world
        .apply(json!({ "namespace": "test", "name": "wide", "version": "1.0.0", "steps": steps }))
        .await;
    world.template("single", SINGLE).await;
    let wide = world.submit("wide").await;
    let other = world.submit("single").await;
    let mut first = world.begin().await;
    sqlx::query("select from tasker.steps where task_uuid = $1 for no key update")
        .bind(wide)
        .execute(&mut *first)
        .await
        .unwrap();

    // One ready step at a time: fifty of them are before that of the other task.
    for namespaces in [vec![], vec!["test".to_owned()]] {
        let mut claim = world.begin().await;
        let claimed =
            readiness::claim_ready_tasks_of(&mut claim, "o", 1, &namespaces, Guard::AfterFailure)
                .await
                .unwrap();
        assert_eq!(
            (claimed.tasks.len(), claimed.tasks[0].task_uuid),
            (1, other)
        );
        claim.rollback().await.unwrap();
    }
    first.rollback().await.unwrap();
    assert_eq!(world.claim().await.len(), 2);
    world.assert_healthy().await;
}
