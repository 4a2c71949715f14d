//! `tasker task submit`: submits a task, and waits for its end where that is asked for.

use std::time::Duration;

use serde_json::{Value, json};
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{NewTask, OnConflict, Submitted, TaskDetail, submit_tasks};
use tokio::time::Instant;

use crate::commands::reading::{self, TemplateName};
use crate::commands::task::payloads::results;
use crate::commands::task::watch::POLL_INTERVAL;
use crate::commands::task::{fetch, remark_on_results};
use crate::drawing::{complaint, task_paint};
use crate::failure::Failure;
use crate::format::{between, duration, harmless};
use crate::output::Output;
use crate::setup::Setup;

const EXAMPLES: &str = "\
With --wait the results of the last steps are printed, and the exit status tells how the task
ended: 0 complete, 1 anything else.

Examples:
  tasker task submit shop/order --context '{\"order_id\": 1}'
  jq -c .order order.json | tasker task submit shop/order --context - --wait";

/// Columns of a result that a terminal shows; `task show --full` has all of it.
const MOST_COLUMNS: usize = 2_000;

/// Arguments of `tasker task submit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The template; its highest version where none is named
    #[arg(value_name = "NAMESPACE/NAME[@VERSION]")]
    template: TemplateName,

    /// Input of the task: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    context: String,

    /// Steps of tasks with a larger number are claimed first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i32,

    /// The same key again, for the same template, gives the first task instead of a new one
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// What to do where that key was used with another context
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        requires = "idempotency_key"
    )]
    on_conflict: Conflict,

    /// Wait until the task ends
    #[arg(long)]
    wait: bool,

    /// Wait at most so many seconds
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = seconds)]
    wait_timeout: Option<Duration>,
}

/// What to do where an idempotency key was used with another context.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Conflict {
    /// Give the task of its first use
    #[default]
    Existing,
    /// Refuse
    Reject,
}

impl From<Conflict> for OnConflict {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Existing => Self::Existing,
            Conflict::Reject => Self::Reject,
        }
    }
}

/// A number of seconds, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Submits the task.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let task = NewTask {
        context: reading::json(&args.context, "--context")?,
        namespace: args.template.namespace,
        name: args.template.name,
        version: args.template.version,
        priority: args.priority,
        idempotency_key: args.idempotency_key,
        on_conflict: args.on_conflict.into(),
    };
    let database = setup.database().await?;
    let submitted = database
        .call("submit_tasks", async |connection| {
            submit_tasks(connection, std::slice::from_ref(&task)).await
        })
        .await?;
    let Some(submitted) = submitted.first().copied() else {
        return Err(Failure::new("the database did not name the submitted task"));
    };
    if !args.wait {
        return report(submitted, None, output);
    }
    let deadline = args.wait_timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let detail = fetch(&database, submitted.task_uuid).await;
        let detail = detail.map_err(|failure| {
            if submitted.created {
                return failure;
            }
            Failure::new(format!(
                "the idempotency key was known, and the task of its first use, {}, is not in the \
                 database any more: its retention is over",
                submitted.task_uuid
            ))
            .hint("`tasker task export` finds it where the archive is a table")
        })?;
        if detail.summary.state.is_terminal() {
            return report(submitted, Some(&detail), output);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            report(submitted, None, output)?;
            return Err(Failure::new(format!(
                "the task has not ended within the time to wait: it is {}",
                detail.summary.state
            ))
            .hint(format!(
                "`tasker task show {}` shows what it waits for",
                submitted.task_uuid
            )));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A result; in a terminal no more of it than can be read there.
fn shortened(result: &str, output: Output) -> String {
    if output.is_live() {
        output.style(false).cut(result, MOST_COLUMNS)
    } else {
        result.to_owned()
    }
}

fn report(submitted: Submitted, ended: Option<&TaskDetail>, output: Output) -> Result<(), Failure> {
    let mut document = json!(submitted);
    if let (Value::Object(document), Some(task)) = (&mut document, ended) {
        document.insert("task".to_owned(), json!(task));
    }
    output.document(&document)?;
    output.text(submitted.task_uuid)?;
    if !submitted.created {
        crate::output::remark(if submitted.context_differs {
            "the idempotency key was known: this is the task of its first use, with another context"
        } else {
            "the idempotency key was known: this is the task of its first use"
        });
    }
    let Some(task) = ended else {
        return Ok(());
    };
    let summary = &task.summary;
    let took = between(summary.created_at, summary.finished_at.unwrap_or_default());
    let state = output
        .style(false)
        .paint(task_paint(summary.state), summary.state.as_str());
    output.text(format!("{state} after {}", duration(took)))?;
    if let Some(remark) = remark_on_results(task) {
        output.text(remark)?;
    } else {
        for (step, result) in results(task) {
            let result = harmless(&result.to_string());
            output.text(format!("{step}: {}", shortened(&result, output)))?;
        }
    }
    if summary.state == TaskState::Complete {
        return Ok(());
    }
    let failed = task
        .steps
        .iter()
        .filter_map(|step| Some((&step.name, complaint(step)?)));
    for (name, complaint) in failed {
        output.text(format!("{name}: {complaint}"))?;
    }
    Err(Failure::Reported)
}
