//! What people and handlers got as an answer is durable by then; what can be derived again need not
//! be.

use serde_json::json;
use sqlx::PgConnection;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Locks, ReceivedStep};
use tasker_shared::tasks;

use crate::support::{LEASE, SINGLE, WORKER, World, act, complete, fail, given_back, new_task};

/// How a transaction that did this commits.
async fn commits(world: &mut World, call: impl AsyncFnOnce(&mut PgConnection)) -> String {
    world.run("begin").await;
    call(&mut world.connection).await;
    let commits = world
        .value("select current_setting('synchronous_commit')")
        .await;
    world.run("commit").await;
    commits
}

/// A task whose step runs.
async fn running(world: &mut World) -> ReceivedStep {
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.start_one().await
}

async fn failed(world: &mut World) -> TaskUuid {
    let step = running(world).await;
    world.report(&[fail(&step)]).await;
    step.id.task_uuid
}

#[tokio::test]
async fn a_submission_and_an_outcome_are_durable() {
    let mut world = World::new().await;
    let step = running(&mut world).await;

    let submitted = commits(&mut world, async |connection| {
        tasks::submit_tasks(connection, &[new_task("single")])
            .await
            .unwrap();
    });
    assert_eq!(submitted.await, "on");
    for locks in [Locks::Wait, Locks::Skip] {
        let reported = commits(&mut world, async |connection| {
            steps::complete_steps(connection, WORKER, &[complete(&step)], locks)
                .await
                .unwrap();
        });
        assert_eq!(reported.await, "on");
    }
}

#[tokio::test]
async fn a_cancellation_is_durable() {
    let mut world = World::new().await;
    let step = running(&mut world).await;

    let cancelled = commits(&mut world, async |connection| {
        act(connection, step.id.task_uuid, Action::CancelTask)
            .await
            .unwrap();
    });

    assert_eq!(cancelled.await, "on");
}

#[tokio::test]
async fn what_else_operators_do_is_durable() {
    let mut world = World::new().await;
    let task = failed(&mut world).await;
    let resolved = commits(&mut world, async |connection| {
        act(connection, task, Action::ResolveTask).await.unwrap();
    });
    assert_eq!(resolved.await, "on");

    let task = failed(&mut world).await;
    let retried = commits(&mut world, async |connection| {
        act(connection, task, Action::RetryStep("only"))
            .await
            .unwrap();
    });
    assert_eq!(retried.await, "on");
    let settled = commits(&mut world, async |connection| {
        let skip = Settlement::Skip(json!(null));
        act(connection, task, Action::SettleStep("only", &skip))
            .await
            .unwrap();
    });
    assert_eq!(settled.await, "on");
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_can_be_derived_again_waits_for_no_disk() {
    let mut world = World::new().await;
    let step = running(&mut world).await;
    world.submit("single").await;

    let extended = commits(&mut world, async |connection| {
        let held = [(step.id, step.receipt)];
        steps::extend_leases(connection, WORKER, &held, LEASE)
            .await
            .unwrap();
    });
    assert_eq!(extended.await, "off");
    let claimed = commits(&mut world, async |connection| {
        let claimed = readiness::claim_ready_tasks(connection, "o", 10).await;
        assert_eq!(claimed.unwrap().len(), 1);
    });
    assert_eq!(claimed.await, "off");
    let namespaces = ["test".to_owned()];
    let received = commits(&mut world, async |connection| {
        let demand = steps::Demand::of_any(&namespaces, 10, LEASE);
        let received = steps::receive_steps(connection, WORKER, &demand).await;
        assert_eq!(received.unwrap().steps.len(), 1);
    });
    assert_eq!(received.await, "off");
    steps::release_steps(&mut world.connection, WORKER, &[given_back(&step)])
        .await
        .unwrap();
    world.assert_healthy().await;
}
