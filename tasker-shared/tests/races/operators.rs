//! What operators and timers do while another transaction acts on the same step.

use tasker_shared::operator::Action;
use tasker_shared::readiness;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps;

use crate::support::{LEASE, SINGLE, WORKER, World, act, complete, fail};
use crate::{
    is_conflict, ready_rows, skip, with_a_retry_due, with_one_step_running,
    with_two_branches_running,
};

#[tokio::test]
async fn an_outcome_that_comes_while_its_task_is_cancelled_is_kept_and_readies_nothing() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    act(&mut first, task, Action::CancelTask).await.unwrap();

    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &reports, steps::Locks::Wait)
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
    steps::complete_steps(&mut first, WORKER, &reports, steps::Locks::Wait)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::CancelTask).await
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
    steps::complete_steps(&mut first, WORKER, &[complete(&step)], steps::Locks::Wait)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::CancelTask).await
        })
        .await;
    first.commit().await.unwrap();

    let refused = cancel.await.unwrap();
    assert!(is_conflict(&refused), "{refused:?}");
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_retried_by_hand_while_its_task_is_cancelled_is_refused() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    world.report(&[fail(&branches[0])]).await;
    let mut first = world.begin().await;
    act(&mut first, task, Action::CancelTask).await.unwrap();

    let rerun = world
        .start_blocked(async move |mut connection| {
            Action::RetryStep("b")
                .carry_out(&mut connection, task, "you", None)
                .await
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
    Action::RetryStep("b")
        .carry_out(&mut first, task, "you", None)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::CancelTask).await
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
async fn a_step_that_is_received_while_it_is_skipped_runs_on() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;
    let step = steps::receive_steps(
        &mut first,
        WORKER,
        &steps::Demand::of_any(&namespaces, 10, LEASE),
    )
    .await
    .unwrap()
    .steps
    .remove(0);

    let skipping = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::SettleStep("only", &skip())).await
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
            act(&mut connection, task, Action::RetryStep("only")).await
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
            act(&mut connection, task, Action::CancelTask).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert!(world.claim().await.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    world.assert_healthy().await;
}
