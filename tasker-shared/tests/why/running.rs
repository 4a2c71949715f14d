//! Steps that a worker started.

use std::time::Duration;

use serde_json::json;
use tasker_shared::operator::Action;
use tasker_shared::why::Cause;

use crate::support::processes::{orchestrator, register, unseen_for, worker};
use crate::support::{WORKER, World, fail};
use crate::{HANDLER, assert_why, served};

#[tokio::test]
async fn a_step_that_runs() {
    let mut world = served().await;
    register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    let task = world.submit("single").await;
    world.start_one().await;

    let says = "worker-1 has been running it for 0 s, attempt 1 of 3; its timeout ends in";
    let reason = assert_why(&mut world, task, Cause::Running, says).await;
    let evidence = &reason.evidence;
    assert_eq!(evidence["worker"], WORKER);
    assert!(evidence["lease_until"].is_string() && evidence["timeout_at"].is_string());
}

#[tokio::test]
async fn a_worker_that_began_again_under_its_name_lives() {
    let mut world = served().await;
    let before = register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    unseen_for(&mut world, before, 40).await;
    register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    let task = world.submit("single").await;
    world.start_one().await;

    assert_why(&mut world, task, Cause::Running, "has been running it").await;
}

#[tokio::test]
async fn an_orchestrator_of_the_same_name_is_no_worker() {
    let mut world = served().await;
    register(&mut world, &orchestrator(WORKER, &[])).await;
    let task = world.submit("single").await;
    world.start_one().await;

    assert_why(&mut world, task, Cause::WorkerLost, "is gone").await;
}

#[tokio::test]
async fn a_step_that_runs_beyond_its_timeout() {
    let mut world = served().await;
    register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    let task = world.submit("single").await;
    world.start_one().await;
    world.advance(Duration::from_mins(10)).await;

    let says = "has been running it for 10 min 0 s, and its timeout of 30 s is over";
    assert_why(&mut world, task, Cause::PastTimeout, says).await;
}

#[tokio::test]
async fn a_step_whose_worker_is_silent() {
    let mut world = served().await;
    let process = register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    let task = world.submit("single").await;
    world.start_one().await;
    unseen_for(&mut world, process, 40).await;

    let says = "which ran it, was last seen 40 s ago; another worker can take it in";
    assert_why(&mut world, task, Cause::WorkerLost, says).await;
}

#[tokio::test]
async fn a_step_whose_worker_is_gone() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.start_one().await;

    let reason = assert_why(&mut world, task, Cause::WorkerLost, "is gone").await;
    assert_eq!(reason.evidence["worker_last_seen_at"], json!(null));
}

#[tokio::test]
async fn a_step_whose_lease_is_over_waits_for_another_worker() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.start_one().await;
    world.expire_leases().await;

    let says = "the lease of worker-1 ended 1 s ago: another worker receives it";
    assert_why(&mut world, task, Cause::LeaseOver, says).await;
}

#[tokio::test]
async fn a_step_whose_lease_is_over_and_that_no_other_worker_can_run() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.start_one().await;
    world.expire_leases().await;
    world
        .run("delete from tasker.processes where role = 'worker'")
        .await;

    let says = "the lease of worker-1 ended 1 s ago: no worker serves the namespace test";
    assert_why(&mut world, task, Cause::NoWorker, says).await;
}

#[tokio::test]
async fn a_step_that_runs_in_a_cancelled_task() {
    let mut world = served().await;
    world
        .template("both", &[("fails", &[]), ("runs", &[])])
        .await;
    let task = world.submit("both").await;
    world.claim().await;
    let both = world.receive().await;
    world.report(&[fail(&both[0])]).await;
    world.operate(task, Action::CancelTask).await;

    let says = "the task is cancelled";
    let reason = assert_why(&mut world, task, Cause::BeingCancelled, says).await;
    assert_eq!(reason.step_name.as_ref(), Some(&both[1].step_name));
}

#[tokio::test]
async fn a_step_that_runs_while_its_queue_is_damaged() {
    let mut world: World = served().await;
    register(&mut world, &worker(WORKER, &["test"], &[HANDLER])).await;
    let task = world.submit("single").await;
    world.start_one().await;
    world.run("drop table pgmq.q_worker_test_queue").await;

    let reason = assert_why(&mut world, task, Cause::Running, "has been running").await;
    assert_eq!(reason.evidence["lease_until"], json!(null));
}
