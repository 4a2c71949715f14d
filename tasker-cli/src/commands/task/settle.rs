//! `tasker task cancel` and `tasker task resolve`: what an operator decides about a task.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{cancel_task, resolve_task};

use crate::commands::operator::actor;
use crate::commands::task::fetch;
use crate::commands::task::which::TaskArg;
use crate::failure::Failure;
use crate::setup::Setup;

/// Arguments of `tasker task cancel` and `tasker task resolve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: TaskArg,

    /// Why, for the history of the task
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Cancels a task.
pub(crate) async fn cancel(args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    database
        .call("cancel_task", async |connection| {
            cancel_task(connection, task, &actor(), args.reason.as_deref()).await
        })
        .await?;
    report(task, &database, setup).await
}

/// Marks a failed task as dealt with.
pub(crate) async fn resolve(args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    database
        .call("resolve_task", async |connection| {
            resolve_task(connection, task, &actor(), args.reason.as_deref()).await
        })
        .await?;
    report(task, &database, setup).await
}

async fn report(
    task: TaskUuid,
    database: &tasker_shared::database::Database,
    setup: &Setup,
) -> Result<(), Failure> {
    let state = fetch(database, task).await?.summary.state;
    let output = setup.output();
    output.document(&json!({ "task_uuid": task, "state": state }))?;
    output.text(format!("task {task} is {state}"))
}
