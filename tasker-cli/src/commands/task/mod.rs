//! `tasker task`: submits tasks, shows them and ends them.

mod bulk;
mod export;
mod filter;
mod list;
mod payloads;
pub(crate) mod picture;
mod settle;
mod show;
mod submit;
pub(crate) mod watch;
pub(crate) mod which;

use tasker_shared::bulk::BulkAction;
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{TaskDetail, Transition, get_task, task_history};

use crate::failure::Failure;
use crate::format::bytes;
use crate::setup::Setup;

const EXAMPLES: &str = "\
Examples:
  tasker task submit shop/order --context '{\"order_id\": 1}' --wait
  tasker task submit shop/order@1.0.0 --context @order.json --idempotency-key order-1
  tasker task list --namespace shop --state error --since 2h
  tasker task show 9f3ac21b --watch
  tasker task cancel 9f3ac21b --reason 'the customer changed their mind'";

/// Commands about tasks.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Submit a task
    Submit(submit::Args),
    /// List tasks, the latest first
    List(list::Args),
    /// Draw a task: its steps, what waits for what, and how each stands
    Show(show::Args),
    /// Print everything there is of a task as one line of JSON, from the archive table too
    Export(export::Args),
    /// Run the failed steps of a task again, or of all tasks that match
    Retry(settle::Args),
    /// Cancel a task, or all that match: what has not started never starts, running handlers are told
    Cancel(settle::Args),
    /// Mark a failed task as dealt with by hand, or all that match
    Resolve(settle::Args),
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, setup: &Setup) -> Result<(), Failure> {
    match command {
        Command::Submit(args) => submit::run(args, setup).await,
        Command::List(args) => list::run(args, setup).await,
        Command::Show(args) => show::run(args, setup).await,
        Command::Export(args) => export::run(args, setup).await,
        Command::Retry(args) => settle::run(BulkAction::Retry, args, setup).await,
        Command::Cancel(args) => settle::run(BulkAction::Cancel, args, setup).await,
        Command::Resolve(args) => settle::run(BulkAction::Resolve, args, setup).await,
    }
}

/// The task, which must exist.
pub(crate) async fn fetch(database: &Database, task: TaskUuid) -> Result<TaskDetail, Failure> {
    let detail = database
        .call("get_task", async |connection| {
            get_task(connection, task).await
        })
        .await?;
    detail.ok_or_else(|| {
        Failure::new(format!("there is no task {task}"))
            .hint("`tasker task list` shows the tasks there are")
    })
}

/// The moves of a task, the oldest first.
pub(crate) async fn history(
    database: &Database,
    task: TaskUuid,
) -> Result<Vec<Transition>, Failure> {
    Ok(database
        .call("task_history", async |connection| {
            task_history(connection, task).await
        })
        .await?)
}

/// What to tell people of a task whose results are left out.
pub(crate) fn remark_on_results(task: &TaskDetail) -> Option<String> {
    let uuid = task.summary.task_uuid;
    task.results_omitted.then(|| {
        format!(
            "results are left out: {}; read one with `tasker step show {uuid} STEP` or GET \
             /v1/tasks/{uuid}/steps/{{name}}",
            bytes(task.result_bytes())
        )
    })
}
