//! `tasker task export`: everything there is of a task, on one line.

use tasker_shared::history::export_task;

use crate::commands::task::which::TaskArg;
use crate::failure::Failure;
use crate::output::verbatim;
use crate::setup::Setup;

/// Arguments of `tasker task export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show; one in the archive by its UUID
    #[arg(value_name = "TASK")]
    task: TaskArg,
}

/// Prints the document, whatever the form of the output: it is JSON.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    let document = database
        .call_without_deadline("export_task", async |connection| {
            export_task(connection, task).await
        })
        .await?;
    let document = document.ok_or_else(|| {
        Failure::new(format!(
            "there is no task {task}, and none in the archive table"
        ))
        .hint("one that retention deleted may be in the files of the archive")
    })?;
    verbatim(&format!("{document}\n"))
}
