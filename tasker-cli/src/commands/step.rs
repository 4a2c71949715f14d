//! `tasker step`: shows a step, and what an operator decides about it.

mod show;

use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Settlement, retry_step, settle_step};

use crate::commands::operator::actor;
use crate::commands::reading;
use crate::commands::task::fetch;
use crate::commands::task::which::TaskArg;
use crate::failure::Failure;
use crate::setup::Setup;

const EXAMPLES: &str = "\
The task goes on by itself after retry, skip and resolve.

Examples:
  tasker step retry 9f3ac21b charge --reason 'the bank is back'
  tasker step skip 9f3ac21b send_mail
  tasker step resolve 9f3ac21b charge --result '{\"charge_id\": 7}'";

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
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: TaskArg,

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
    let task = which.task.find(&database).await?;
    database
        .call("retry_step", async |connection| {
            let reason = which.reason.as_deref();
            retry_step(connection, task, &which.step, &actor(), reason).await
        })
        .await?;
    report(task, &which.step, &database, setup).await
}

async fn apply(which: Which, settlement: Settlement, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let task = which.task.find(&database).await?;
    database
        .call("settle_step", async |connection| {
            let reason = which.reason.as_deref();
            let step = &which.step;
            settle_step(connection, task, step, &settlement, &actor(), reason).await
        })
        .await?;
    report(task, &which.step, &database, setup).await
}

async fn report(
    task_uuid: TaskUuid,
    step_name: &str,
    database: &tasker_shared::database::Database,
    setup: &Setup,
) -> Result<(), Failure> {
    let task = fetch(database, task_uuid).await?;
    let step = task.steps.iter().find(|step| step.name == step_name);
    let state = step.map(|step| step.state);
    let output = setup.output();
    output.document(&json!({
        "task_uuid": task_uuid,
        "task_state": task.summary.state,
        "step": step_name,
        "step_state": state,
    }))?;
    let state = state.map(|state| state.to_string()).unwrap_or_default();
    output.text(format!(
        "step {step_name} is {state}, task {task_uuid} is {}",
        task.summary.state
    ))
}
