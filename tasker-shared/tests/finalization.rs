//! Tasks that cannot move and do not say so are ended, by one of those who try.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use futures::future::join_all;
use support::{DIAMOND, SINGLE, World, complete};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Finalization, claim_task_for_finalization};
use tasker_shared::state::TaskState;

async fn finalize(world: &mut World, task: TaskUuid) -> Result<Finalization, Error> {
    claim_task_for_finalization(&mut world.connection, task, "doctor").await
}

/// A task whose only step is complete while the task, by a wrong counter, goes on.
async fn task_that_did_not_end(world: &mut World) -> TaskUuid {
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world
        .execute("update tasker.tasks set active_steps = 2")
        .await;
    world.report(&[complete(&step)]).await;
    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    assert!(!world.findings().await.is_empty());
    task
}

#[tokio::test]
async fn a_task_that_should_have_ended_is_ended_once() {
    let mut world = World::new().await;
    let task = task_that_did_not_end(&mut world).await;

    let (first, second) = (
        finalize(&mut world, task).await.unwrap(),
        finalize(&mut world, task).await.unwrap(),
    );

    let complete = TaskState::Complete;
    assert_eq!(
        first,
        Finalization {
            finalized: true,
            state: complete
        }
    );
    assert_eq!(
        second,
        Finalization {
            finalized: false,
            state: complete
        }
    );
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_many_at_once_one_ends_it() {
    let mut world = World::new().await;
    let task = task_that_did_not_end(&mut world).await;
    let pool = world.db.pool();

    let calls = (0..8).map(|_| async {
        let mut connection = pool.acquire().await.unwrap();
        claim_task_for_finalization(&mut connection, task, "o")
            .await
            .unwrap()
    });

    let ended = join_all(calls).await;
    assert_eq!(ended.iter().filter(|ended| ended.finalized).count(), 1);
    assert!(ended.iter().all(|ended| ended.state == TaskState::Complete));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_that_can_move_is_not_ended_and_its_counters_are_put_right() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    world
        .execute("update tasker.tasks set active_steps = 3, failed_steps = 1")
        .await;

    let answer = finalize(&mut world, task).await.unwrap();

    assert_eq!(
        answer,
        Finalization {
            finalized: false,
            state: TaskState::Pending
        }
    );
    world.assert_healthy().await;
    world.run_all().await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_is_ended_by_its_last_step_or_by_the_claim_but_never_by_both() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    let mut reporter = world.begin().await;
    let report = [complete(&step)];
    tasker_shared::steps::complete_steps(
        &mut reporter,
        support::WORKER,
        &report,
        tasker_shared::steps::Locks::Wait,
    )
    .await
    .unwrap();

    let claim = world
        .start_blocked(|mut connection| async move {
            claim_task_for_finalization(&mut connection, task, "o")
                .await
                .unwrap()
        })
        .await;
    reporter.commit().await.unwrap();

    let answer = claim.await.unwrap();
    assert_eq!(
        answer,
        Finalization {
            finalized: false,
            state: TaskState::Complete
        }
    );
    world.assert_healthy().await;
}

#[tokio::test]
async fn steps_that_wait_for_no_reason_are_not_ended() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    world
        .run("delete from tasker.ready_steps; update tasker.steps set waiting_on = 1 where step_no = 1")
        .await;

    let refused = finalize(&mut world, task).await.unwrap_err();

    assert!(refused.to_string().contains("cannot be ended"), "{refused}");
    assert_eq!(world.task_state(task).await, TaskState::Pending);
    let unknown = finalize(&mut world, TaskUuid(uuid::Uuid::nil())).await;
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("there is no task")
    );
}
