//! Steps that are ready, and retries that are due or not.

use std::time::Duration;

use serde_json::json;
use tasker_shared::why::Cause;

use crate::support::processes::{orchestrator, register, unseen_for, worker};
use crate::support::{SINGLE, World, retry};
use crate::{HANDLER, assert_why, served};

#[tokio::test]
async fn a_ready_step_that_no_orchestrator_ever_served() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &worker("w", &[], &[HANDLER])).await;
    let task = world.submit("single").await;

    let says = "no orchestrator serves the namespace test";
    let reason = assert_why(&mut world, task, Cause::NoOrchestrator, says).await;
    assert_eq!(reason.detail, says);
    assert_eq!(reason.evidence["last_orchestrator"], json!(null));
}

#[tokio::test]
async fn a_ready_step_whose_orchestrator_was_lost() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for (identity, seconds) in [("o-0", 50), ("o-1", 45), ("o-2", 55)] {
        let process = register(&mut world, &orchestrator(identity, &["test"])).await;
        unseen_for(&mut world, process, seconds).await;
    }
    let task = world.submit("single").await;

    let says = "o-1 was last seen 45 s ago";
    let reason = assert_why(&mut world, task, Cause::NoOrchestrator, says).await;
    assert_eq!(reason.evidence["last_orchestrator"], "o-1");
}

#[tokio::test]
async fn a_ready_step_of_a_namespace_that_orchestrators_leave_out() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &orchestrator("o", &["another"])).await;
    let task = world.submit("single").await;

    let says = "no orchestrator serves";
    let reason = assert_why(&mut world, task, Cause::NoOrchestrator, says).await;
    assert_eq!(
        reason.evidence["orchestrators_of_others"],
        json!([{ "identity": "o", "namespaces": ["another"] }])
    );
}

#[tokio::test]
async fn a_ready_step_behind_more_urgent_and_older_ones() {
    let mut world = served().await;
    world.submit("single").await;
    let task = world.submit("single").await;
    world.submit("single").await;
    world.submit_with("single", |task| task.priority = 7).await;

    let says = "2 steps are ahead of it";
    let reason = assert_why(&mut world, task, Cause::WaitsToBeClaimed, says).await;
    assert_eq!(reason.evidence["ahead"], 2);
}

#[tokio::test]
async fn a_ready_step_that_nothing_offers() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.run("delete from tasker.ready_steps").await;

    assert_why(&mut world, task, Cause::NotOffered, "nothing offers it").await;
}

#[tokio::test]
async fn a_ready_step_whose_queue_is_gone() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.run("drop table pgmq.q_worker_test_queue").await;

    let says = "the queue worker_test_queue is missing";
    assert_why(&mut world, task, Cause::QueueDamaged, says).await;
}

#[tokio::test]
async fn a_retry_that_is_not_due() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;

    let says = "attempt 2 of 3 is due in 0 s; the last one failed: no";
    let reason = assert_why(&mut world, task, Cause::WaitsForRetry, says).await;
    assert_eq!(reason.evidence["attempt"], 1);
    assert_eq!(reason.evidence["error"]["message"], "no");
}

#[tokio::test]
async fn a_retry_that_is_due_and_was_not_made_ready() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;
    world.advance(Duration::from_secs(100)).await;

    let says = "its retry has been due for 1 min 3";
    assert_why(&mut world, task, Cause::WaitsToBeClaimed, says).await;
    world.run("delete from tasker.processes").await;
    assert_why(&mut world, task, Cause::NoOrchestrator, "no orchestrator").await;
}
