//! Steps that follow one another in one worker, while something goes wrong or has to come first.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod ends;
mod faults;
mod turns;
#[path = "../world/mod.rs"]
mod world;

use serde_json::json;
use sqlx::{Postgres, Transaction};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::TaskDetail;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::world::{Gate, World};

/// More than any chain here is long.
const ON: u32 = 16;

/// Two steps, of which the first ends when it is let go.
const GATED_FIRST: &str = "  - { name: a, handler: gate, timeout_ms: 3600000 }
  - { name: b, handler: gate, depends_on: [a] }";

async fn world(template: &str) -> (World, TaskUuid) {
    let world = World::create().await.with_lease(3600.0);
    let world = world.with_continuation(ON).leaving_dependents_to_claims();
    world.template("chain", template).await;
    let task = world.submit("chain", json!({})).await;
    (world, task)
}

fn attempts(task: &TaskDetail) -> Vec<i32> {
    task.steps.iter().map(|step| step.attempts).collect()
}

/// The outcome of the first step was recorded and the second goes through the queue, each on its
/// first attempt.
async fn assert_nothing_was_handed_on(world: &World, task: TaskUuid, gate: &Gate) {
    world.wait_for_complete(1).await;
    assert_eq!(world.ready_steps().await, 1);
    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1]);
}

/// Holds the task, and returns once an outcome of it waits to be recorded.
async fn hold_up_the_outcome(
    world: &World,
    task: TaskUuid,
    gate: &Gate,
) -> Transaction<'static, Postgres> {
    let transaction = world.hold(task).await;
    gate.open();
    wait_until(
        "the reporter waits for the task",
        WAIT_TIMEOUT,
        async || {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like '%complete_%step%'";
            world.count(waiting).await == 1
        },
    )
    .await;
    transaction
}
