//! `tasker step`: shows a step, and what an operator decides about it.

mod show;

use serde_json::{Value, json};
use tasker_shared::operator::{Action, Settlement};

use crate::commands::operator::act;
use crate::commands::reading;
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
        Command::Retry(which) => operate(&which, Action::RetryStep(&which.step), setup).await,
        Command::Skip(args) => settle(&args, Settlement::Skip, setup).await,
        Command::Resolve(args) => settle(&args, Settlement::Resolve, setup).await,
    }
}

async fn settle(
    args: &Settle,
    how: impl FnOnce(Value) -> Settlement,
    setup: &Setup,
) -> Result<(), Failure> {
    let settlement = how(args.result()?);
    let action = Action::SettleStep(&args.which.step, &settlement);
    operate(&args.which, action, setup).await
}

/// Does it, and says what became of the step and its task.
async fn operate(which: &Which, action: Action<'_>, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let uuid = which.task.find(&database).await?;
    let task = act(&database, uuid, action, which.reason.as_deref()).await?;
    let name = &which.step;
    let state = task.steps.iter().find(|step| step.name == *name);
    let state = state.map(|step| step.state);
    let task_state = task.summary.state;
    let output = setup.output();
    output.document(&json!({
        "task_uuid": uuid,
        "task_state": task_state,
        "step": name,
        "step_state": state,
    }))?;
    let state = state.map(|state| state.to_string()).unwrap_or_default();
    output.text(format!(
        "step {name} is {state}, task {uuid} is {task_state}"
    ))
}
