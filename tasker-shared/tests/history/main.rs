//! History that leaves: which tasks, with what belongs to them, and what becomes of their keys.

#![allow(clippy::unwrap_used)]

mod archive;
mod keys;
mod plans;
mod races;
mod rules;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::{SINGLE, World, fail};
use tasker_shared::config::RetentionConfig;
use tasker_shared::history::{Pruned, Retention, Sweep};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::tasks;
use uuid::Uuid;

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// All outcomes are kept for 30 days, errors for 90.
pub(crate) fn config() -> RetentionConfig {
    RetentionConfig {
        complete_days: 30,
        error_days: 90,
        cancelled_days: 30,
        resolved_manually_days: 30,
        ..RetentionConfig::default()
    }
}

pub(crate) fn retention(config: &RetentionConfig) -> Retention {
    Retention::new(config, "test")
}

/// Deletes all that is due, as `tasker prune` does.
pub(crate) async fn prune(world: &mut World, config: &RetentionConfig) -> u64 {
    let retention = retention(config);
    let mut after = Some(Uuid::nil());
    let mut count = 0;
    while let Some(from) = after {
        let pruned = retention.prune(&mut world.connection, from).await.unwrap();
        count += pruned.count();
        after = pruned.reached;
    }
    count
}

/// Goes all sweeps to their ends, as an orchestrator does in one round.
pub(crate) async fn sweep_all(world: &mut World, config: &RetentionConfig) -> Pruned {
    let retention = retention(config);
    let mut all = Pruned::default();
    for sweep in retention.sweeps(&mut world.connection).await.unwrap() {
        loop {
            let pruned = retention.sweep(&mut world.connection, sweep).await.unwrap();
            for (ended, count) in &pruned.tasks {
                *all.tasks.entry(ended.clone()).or_default() += count;
            }
            all.too_large += pruned.too_large;
            if pruned.reached.is_none() {
                break;
            }
        }
    }
    all
}

pub(crate) async fn complete_task(world: &mut World) -> TaskUuid {
    let task = world.submit("single").await;
    world.run_all().await;
    task
}

pub(crate) async fn failed_task(world: &mut World) -> TaskUuid {
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    task
}

pub(crate) async fn with_template() -> World {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world
}

/// A task of each outcome.
pub(crate) async fn one_of_each(world: &mut World) -> BTreeMap<&'static str, TaskUuid> {
    let resolved = failed_task(world).await;
    world.operate(resolved, Action::ResolveTask).await;
    let cancelled = world.submit("single").await;
    world.operate(cancelled, Action::CancelTask).await;
    BTreeMap::from([
        ("resolved_manually", resolved),
        ("cancelled", cancelled),
        ("complete", complete_task(world).await),
        ("error", failed_task(world).await),
    ])
}

pub(crate) async fn exists(world: &mut World, task: TaskUuid) -> bool {
    let task = tasks::get_task(&mut world.connection, task).await.unwrap();
    task.is_some()
}

/// Rows of each table that tasks have rows in.
pub(crate) async fn rows(world: &mut World) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "tasks",
        "steps",
        "ready_steps",
        "timers",
        "task_transitions",
        "step_log",
        "idempotency_keys",
    ] {
        let count = world
            .value(format!("select count(*) from tasker.{table}"))
            .await;
        counts.push(count);
    }
    counts
}

pub(crate) const fn of(days: u32) -> Sweep {
    Sweep::Of { hours: days * 24 }
}
