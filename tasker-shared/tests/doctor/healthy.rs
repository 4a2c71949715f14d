//! Situations in which nothing is found.

use std::time::Duration;

use serde_json::json;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, ReceivedStep};

use crate::support::{
    DIAMOND, LEASE, SINGLE, WORKER, World, complete, fail, given_back, new_task, retry,
};
use crate::{LINEAR, with_a_running_step, with_a_task};

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
        world.operate(task, Action::CancelTask).await;
        world.assert_healthy().await;
        let running = [(step.id, step.receipt)];
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
    world.operate(task, Action::CancelTask).await;
    give_back(&mut world, &step).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_cancelled_task_that_never_started_or_had_failed_is_healthy() {
    let (mut world, task) = with_a_task(LINEAR).await;
    world.operate(task, Action::CancelTask).await;
    world.assert_healthy().await;

    let (mut world, task, step) = with_a_running_step().await;
    world.report(&[fail(&step)]).await;
    world.operate(task, Action::CancelTask).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_was_given_back_is_healthy() {
    let (mut world, _, step) = with_a_running_step().await;
    give_back(&mut world, &step).await;
    world.assert_healthy().await;
    world.receive().await;
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
            world
                .operate(task, Action::SettleStep(step, &settlement))
                .await;
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
    world.operate(task, Action::RetryStep("first")).await;
    world.assert_healthy().await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    world.operate(task, Action::ResolveTask).await;
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
    let received = steps::receive_steps(
        &mut world.connection,
        WORKER,
        &steps::Demand::of_any(&namespaces, 10, LEASE),
    )
    .await
    .unwrap()
    .steps;
    assert_eq!(received.len(), 2);
    world.assert_healthy().await;
    let reports = received.iter().map(complete).collect::<Vec<_>>();
    world.report(&reports).await;
    world.assert_healthy().await;
}

async fn give_back(world: &mut World, step: &ReceivedStep) {
    let released = given_back(step);
    steps::release_steps(&mut world.connection, WORKER, &[released])
        .await
        .unwrap();
}
