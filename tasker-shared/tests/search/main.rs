//! Tasks found by values in their contexts: what is noted, what conditions find, in which pages.

#![allow(clippy::unwrap_used)]

mod noted;
mod pages;
mod refused;
mod selected;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::World;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{self, TaskFilter};

/// A world with a template whose tasks are found by these paths.
pub(crate) async fn searched_by(paths: &[&str]) -> World {
    let mut world = World::new().await;
    apply(&mut world, "order", "1.0.0", paths).await;
    world
}

/// Applies a version of a template of one step.
pub(crate) async fn apply(world: &mut World, name: &str, version: &str, paths: &[&str]) {
    world
        .apply(json!({
            "namespace": "test", "name": name, "version": version, "search": paths,
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
}

pub(crate) async fn submit(world: &mut World, context: Value) -> TaskUuid {
    world
        .submit_with("order", |task| task.context = context)
        .await
}

/// The tasks that meet the conditions.
pub(crate) async fn found(world: &mut World, conditions: &[&str]) -> Vec<TaskUuid> {
    find(world, &by(conditions)).await.unwrap()
}

pub(crate) async fn find(world: &mut World, filter: &TaskFilter) -> Result<Vec<TaskUuid>, Error> {
    let listed = tasks::list_tasks(&mut world.connection, filter).await?;
    Ok(listed.iter().map(|task| task.summary.task_uuid).collect())
}

pub(crate) fn by(conditions: &[&str]) -> TaskFilter {
    let conditions = conditions
        .iter()
        .map(|condition| condition.parse().unwrap());
    TaskFilter {
        limit: 100,
        conditions: conditions.collect(),
        ..TaskFilter::default()
    }
}
