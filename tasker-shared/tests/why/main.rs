//! `why`: each situation a step can be in gives its cause and no other, with the evidence.

#![allow(clippy::unwrap_used)]

mod claimed;
mod ended;
mod enqueued;
mod locked;
mod roots;
mod running;
#[path = "../support/mod.rs"]
mod support;

use support::processes::{orchestrator, register, worker};
use support::{SINGLE, World};
use tasker_shared::ids::TaskUuid;
use tasker_shared::why::{Cause, Reason, why};

/// The handler of templates made by [`World::template`].
const HANDLER: &str = "builtin.noop";

/// A world with the template `single`, an orchestrator that serves it and a worker that knows its
/// handler.
async fn served() -> World {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &orchestrator("o", &[])).await;
    register(&mut world, &worker("w", &["test"], &[HANDLER])).await;
    world
}

async fn reasons(world: &mut World, task: TaskUuid) -> Vec<Reason> {
    let why = why(&mut world.connection, task, None).await.unwrap();
    assert!(!why.has_more);
    why.reasons
}

/// The reason of the only step that has one, which has this cause and says this.
async fn assert_why(world: &mut World, task: TaskUuid, cause: Cause, says: &str) -> Reason {
    let mut reasons = reasons(world, task).await;
    assert_eq!(reasons.len(), 1, "{reasons:#?}");
    let reason = reasons.remove(0);
    assert_eq!(reason.cause, cause, "{reason:#?}");
    assert!(reason.detail.contains(says), "{reason:#?}");
    assert_eq!(reason.root, reason.step_name);
    assert!(!reason.action.is_empty());
    reason
}
