//! What operators and clients see: a task with its steps, lists, histories, queues.

#![allow(clippy::unwrap_used)]

mod outline;
mod pages;
mod queues;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use serde_json::json;
use support::{SINGLE, World, complete, fail};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;

/// One task in each of several states, in two namespaces.
async fn with_tasks_of_every_sort(world: &mut World) -> [TaskUuid; 5] {
    world.template("one", SINGLE).await;
    world.template("two", SINGLE).await;
    world
        .apply(json!({
            "namespace": "other", "name": "one", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    let complete_one = world.submit("one").await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;
    let failed_one = world.submit("one").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    let running_two = world.submit("two").await;
    world.start_one().await;
    let cancelled_other = world
        .submit_with("one", |task| task.namespace = "other".into())
        .await;
    world.operate(cancelled_other, Action::CancelTask).await;
    let pending_two = world.submit("two").await;
    [
        complete_one,
        failed_one,
        running_two,
        cancelled_other,
        pending_two,
    ]
}
