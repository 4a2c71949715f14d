//! `tasker step`: shows a step, and what an operator decides about it.

mod show;

use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Settlement, retry_step, settle_step};

use crate::commands::operator::actor;
use crate::commands::reading;
use crate::commands::task::fetch;
use crate::failure::Failure;
use crate::setup::Setup;

const EXAMPLES: &str = "\
The task goes on by itself after retry, skip and resolve.

Examples:
  tasker step retry UUID charge --reason 'the bank is back'
  tasker step skip UUID send_mail
  tasker step resolve UUID charge --result '{\"charge_id\": 7}'";

/// Commands about steps.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show a step with its whole result or error
    Show(show::Args),
    /// Run a failed step again with fresh attempts, or one that waits for its retry at once
    Retry(Which),
    /// Leave a step out; steps that depend on it get --result, or null
    Skip(Settle),
    /// Say that a step was done by hand; steps that depend on it get --result
    Resolve(Settle),
}

/// Which step, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The task
    #[arg(value_name = "TASK_UUID")]
    task: TaskUuid,

    /// Name of the step
    #[arg(value_name = "STEP")]
    step: String,

    /// Why, for the history of the task
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Which step, why, and with which result.
#[derive(Debug, clap::Args)]
pub(crate) struct Settle {
    #[command(flatten)]
    which: Which,

    /// The result: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    result: Option<String>,
}

impl Settle {
    fn result(&self) -> Result<Value, Failure> {
        let result = self.result.as_deref();
        result.map_or(Ok(Value::Null), |json| reading::json(json, "--result"))
    }
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, setup: &Setup) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(args, setup).await,
        Command::Retry(which) => retry(which, setup).await,
        Command::Skip(settle) => {
            let settlement = Settlement::Skip(settle.result()?);
            apply(settle.which, settlement, setup).await
        }
        Command::Resolve(settle) => {
            let settlement = Settlement::Resolve(settle.result()?);
            apply(settle.which, settlement, setup).await
        }
    }
}

async fn retry(which: Which, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    database
        .call("retry_step", async |connection| {
            let reason = which.reason.as_deref();
            retry_step(connection, which.task, &which.step, &actor(), reason).await
        })
        .await?;
    report(&which, &database, setup).await
}

async fn apply(which: Which, settlement: Settlement, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    database
        .call("settle_step", async |connection| {
            let reason = which.reason.as_deref();
            let step = &which.step;
            settle_step(connection, which.task, step, &settlement, &actor(), reason).await
        })
        .await?;
    report(&which, &database, setup).await
}

async fn report(
    which: &Which,
    database: &tasker_shared::database::Database,
    setup: &Setup,
) -> Result<(), Failure> {
    let task = fetch(database, which.task).await?;
    let step = task.steps.iter().find(|step| step.name == which.step);
    let state = step.map(|step| step.state);
    let output = setup.output();
    output.document(&json!({
        "task_uuid": which.task,
        "task_state": task.summary.state,
        "step": which.step,
        "step_state": state,
    }))?;
    let state = state.map(|state| state.to_string()).unwrap_or_default();
    output.text(format!(
        "step {} is {state}, task {} is {}",
        which.step, which.task, task.summary.state
    ))
}
