//! `tasker task cancel` and `tasker task resolve`: what an operator decides about a task.

use serde_json::json;
use tasker_shared::operator::Action;

use crate::commands::operator::act;
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

/// Does it, and says what became of the task.
pub(crate) async fn run(action: Action<'_>, args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    let detail = act(&database, task, action, args.reason.as_deref()).await?;
    let state = detail.summary.state;
    let output = setup.output();
    output.document(&json!({ "task_uuid": task, "state": state }))?;
    output.text(format!("task {task} is {state}"))
}
