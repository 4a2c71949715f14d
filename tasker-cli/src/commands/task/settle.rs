//! `tasker task retry`, `cancel` and `resolve`: what an operator decides about a task, or about all
//! tasks that match.

use serde_json::json;
use tasker_shared::bulk::BulkAction;
use tasker_shared::operator::Action;

use crate::commands::operator::act;
use crate::commands::task::bulk::{self, BulkArgs};
use crate::commands::task::which::TaskArg;
use crate::failure::Failure;
use crate::setup::Setup;

const EXAMPLES: &str = "\
Either TASK, or options that say which tasks. All that match are counted, and then done in small
batches; Ctrl-C stops that, and what was done stays done. The history of each task names the act.

Examples:
  tasker task retry --step charge --error 'bank is closed' --since 2h --reason 'it is open again'
  tasker task cancel --namespace shop --state pending --dry-run";

/// Arguments of `tasker task retry`, `cancel` and `resolve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: Option<TaskArg>,

    /// Why, for the history of the task
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    bulk: BulkArgs,
}

/// Does it to the task, or to all that match.
pub(crate) async fn run(action: BulkAction, args: Args, setup: &Setup) -> Result<(), Failure> {
    let reason = args.reason.as_deref();
    match (args.task, args.bulk.name_tasks()) {
        (Some(task), false) => one(action, &task, reason, setup).await,
        (None, true) => bulk::run(action, args.bulk, reason, setup).await,
        (Some(_), true) => Err(Failure::Usage(
            "either a task, or options that say which tasks".to_owned(),
        )),
        (None, false) => Err(Failure::Usage(
            "say which task, or with options such as --namespace and --state which tasks"
                .to_owned(),
        )),
    }
}

/// Does it, and says what became of the task.
async fn one(
    action: BulkAction,
    task: &TaskArg,
    reason: Option<&str>,
    setup: &Setup,
) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = task.find(&database).await?;
    let action = match action {
        BulkAction::Retry => Action::RetryTask,
        BulkAction::Cancel => Action::CancelTask,
        BulkAction::Resolve => Action::ResolveTask,
    };
    let detail = act(&database, task, action, reason).await?;
    let state = detail.summary.state;
    let output = setup.output();
    output.document(&json!({ "task_uuid": task, "state": state }))?;
    output.text(format!("task {task} is {state}"))
}
