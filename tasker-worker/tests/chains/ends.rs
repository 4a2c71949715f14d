//! What ends a step that follows, or the worker that runs it.

use futures::FutureExt;
use serde_json::json;
use tasker_shared::operator::Action;
use tasker_shared::state::{StepState, TaskState};
use tasker_worker::{HandlerError, Handlers, Step};

use crate::world::{Gate, World};
use crate::{GATED_FIRST, attempts, hold_up_the_outcome, world};

/// Three steps in a row, of which the first ends at once and the others when they are let go.
const THEN_GATED: &str = "  - { name: a, handler: builtin.noop }
  - { name: b, handler: gate, depends_on: [a], timeout_ms: 3600000 }
  - { name: c, handler: gate, depends_on: [b], timeout_ms: 3600000 }";

/// The moves of the step in this place, in their order.
async fn moves(world: &World, step_no: i32) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s to %s at attempt %s', from_state, to_state, attempt)
         from tasker.step_transitions where step_no = $1 order by transition_no",
    )
    .bind(step_no)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

async fn slow_at_first(step: Step) -> Result<i32, HandlerError> {
    if step.attempt() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(step.attempt())
}

#[tokio::test]
async fn a_step_that_follows_is_ended_at_its_timeout_and_tried_again_through_the_queue() {
    let (world, task) = world(
        "  - { name: a, handler: builtin.noop }
  - { name: b, handler: slow_at_first, depends_on: [a], timeout_ms: 100 }
  - { name: c, handler: builtin.noop, depends_on: [b] }",
    )
    .await;
    let worker = world.start(Handlers::new().register("slow_at_first", slow_at_first));

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(attempts(&detail), [1, 2, 1]);
    assert_eq!(
        moves(&world, 2).await,
        [
            "pending to in_progress at attempt 1",
            "in_progress to waiting_for_retry at attempt 1",
            "waiting_for_retry to enqueued at attempt 1",
            "enqueued to in_progress at attempt 2",
            "in_progress to complete at attempt 2",
        ]
    );
    let kind = "select count(*) from tasker.step_transitions where error ->> 'kind' = 'timeout'";
    assert_eq!(world.count(kind).await, 1);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_follows_is_told_that_its_task_was_cancelled_and_nothing_comes_after_it() {
    let (world, task) = world(THEN_GATED).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;

    let mut connection = world.pool.acquire().await.unwrap();
    Action::CancelTask
        .carry_out(&mut connection, task, "test", None)
        .await
        .unwrap();

    world.wait_for_complete(2).await;
    let detail = world.task(task).await;
    assert_eq!(detail.summary.state, TaskState::Cancelled);
    assert_eq!(detail.steps[1].result, Some(json!("told")));
    assert_eq!(detail.steps[2].state, StepState::Cancelled);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn the_chain_of_a_worker_that_died_is_gone_on_with_by_another() {
    let (mut world, task) = world(THEN_GATED).await;
    // With its one place taken, the dying worker does not receive its own message again.
    world.config.worker.concurrency = 1;
    let (lost, found) = (Gate::new(), Gate::new());
    let dying = world.start_named("dying", lost.handlers());
    world.claim().await;
    lost.wait_for_start().await;
    dying.abort();

    world.expire_leases().await;
    found.open();
    found.open();
    let heir = world.start_named("heir", found.handlers());

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 2, 1]);
    let workers = detail.steps.iter().map(|step| step.worker.as_deref());
    assert_eq!(
        workers.collect::<Vec<_>>(),
        [Some("dying"), Some("heir"), Some("heir")]
    );
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_is_handed_over_while_the_worker_drains_goes_back_unstarted() {
    let (world, task) = world(GATED_FIRST).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;
    let transaction = hold_up_the_outcome(&world, task, &gate).await;

    let mut drain = Box::pin(worker.drain());
    assert!((&mut drain).now_or_never().is_none());
    transaction.commit().await.unwrap();
    let drained = drain.await;

    assert_eq!((drained.interrupted, drained.is_complete), (0, true));
    assert_eq!(gate.started.available_permits(), 0, "the handler started");
    let detail = world.task(task).await;
    assert_eq!(attempts(&detail), [1, 0]);
    assert_eq!(detail.steps[1].state, StepState::Enqueued);
    world.assert_sound().await;
}
