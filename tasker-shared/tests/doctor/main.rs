//! The doctor names what is broken and nothing else, and finds a healthy database healthy in every
//! situation that the engine goes through.

#![allow(clippy::unwrap_used)]

mod broken;
mod healthy;
#[path = "../support/mod.rs"]
mod support;

use support::World;
use tasker_shared::ids::TaskUuid;
use tasker_shared::steps::ReceivedStep;

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

async fn with_a_task(steps: &[(&str, &[&str])]) -> (World, TaskUuid) {
    let mut world = World::new().await;
    world.template("t", steps).await;
    let task = world.submit("t").await;
    (world, task)
}

/// A task whose first step runs.
async fn with_a_running_step() -> (World, TaskUuid, ReceivedStep) {
    let (mut world, task) = with_a_task(LINEAR).await;
    let step = world.start_one().await;
    (world, task, step)
}
