//! What happens when two processes do something about the same task or step at the same moment.
//! One holds its transaction open; the other either goes on without waiting, or is seen to wait.

#![allow(clippy::unwrap_used)]

mod claims;
mod giving_back;
mod handing_on;
mod operators;
mod outcomes;
mod submissions;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use support::{DIAMOND, SINGLE, World, complete, retry};
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Settlement;
use tasker_shared::steps::ReceivedStep;

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

fn skip() -> Settlement {
    Settlement::Skip(json!(null))
}
