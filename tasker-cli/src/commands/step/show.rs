//! `tasker step show`: a step with its whole result, however large.

use serde_json::Value;
use tasker_shared::tasks::{StepDetail, get_step};

use crate::commands::task::which::TaskArg;
use crate::drawing::{complaint, step_paint};
use crate::failure::Failure;
use crate::format::bytes;
use crate::output::Output;
use crate::setup::Setup;

/// Arguments of `tasker step show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: TaskArg,

    /// Name of the step
    #[arg(value_name = "STEP")]
    step: String,
}

/// Shows the step.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    let step = database
        .call("get_step", async |connection| {
            get_step(connection, task, &args.step).await
        })
        .await?;
    let output = setup.output();
    output.document(&step)?;
    output.text(text(&step, output))
}

fn text(step: &StepDetail, output: Output) -> String {
    let style = output.style(false);
    let state = style.paint(step_paint(step.state), step.state.as_str());
    let mut lines = vec![format!(
        "{}: {state}, {} of {} attempts of {}",
        step.name, step.attempts, step.max_attempts, step.handler
    )];
    lines.extend(complaint(step));
    if let Some(result) = &step.result {
        lines.push(format!("result ({}):", bytes(step.result_bytes)));
        lines.push(pretty(result));
    }
    lines.join("\n")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
