//! `tasker why`: what the steps of a task wait for.

use tasker_shared::tasks::get_task;
use tasker_shared::why::{Reason, Why, why};

use crate::commands::task::which::TaskArg;
use crate::drawing::{Paint, Style, step_paint};
use crate::failure::Failure;
use crate::format::one_line;
use crate::setup::Setup;

/// Steps that are named where many wait for one.
const MOST_NAMED: usize = 5;

const EXAMPLES: &str = "\
Each step that waits for no other one is shown with its cause, and what can be done; behind it the
steps that wait for it. --json tells the evidence too, and the cause of every step.

Examples:
  tasker why 9f3ac21b
  tasker why 9f3ac21b ship
  tasker why 9f3ac21b --json | jq '.reasons[] | {step_name, cause, evidence}'";

/// Arguments of `tasker why`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: TaskArg,

    /// Only this step, and the one that it waits for in the end
    #[arg(value_name = "STEP")]
    step: Option<String>,
}

/// Shows the reasons.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    let why = database
        .call("why", async |connection| {
            why(connection, task, args.step.as_deref()).await
        })
        .await?;
    output.document(&why)?;
    if !why.reasons.is_empty() {
        return output.text(text(&why, output.style(false)));
    }
    let task = database
        .call("get_task", async |connection| {
            get_task(connection, task).await
        })
        .await?;
    let step = args.step.as_deref();
    output.text(match (step, task) {
        (Some(step), _) => format!("nothing: {step} has ended"),
        (None, Some(task)) => format!("nothing: the task is {}", task.summary.state),
        (None, None) => "nothing: the task has ended".to_owned(),
    })
}

fn text(why: &Why, style: Style) -> String {
    let mut lines = Vec::new();
    for alike in why.alike() {
        let steps = names(&alike.roots);
        lines.extend(of_roots(&alike.roots, &steps, style));
        lines.extend(wait_for_it(&names(&alike.behind)));
    }
    if why.has_more {
        lines.push("There are more steps, of which nothing is said here.".to_owned());
    }
    lines.join("\n")
}

fn names<'a>(reasons: &[&'a Reason]) -> Vec<&'a str> {
    let reasons = reasons.iter();
    let names = reasons.map(|reason| reason.step_name.as_deref().unwrap_or("the whole task"));
    names.collect()
}

/// The first few of the names, and how many there are more.
fn few(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST_NAMED)].join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn of_roots(alike: &[&Reason], steps: &[&str], style: Style) -> Vec<String> {
    let Some(reason) = alike.first() else {
        return Vec::new();
    };
    let state = reason.state.map_or_else(String::new, |state| {
        let verb = if alike.len() == 1 { "is" } else { "are" };
        format!(" {verb} {}", style.paint(step_paint(state), state.as_str()))
    });
    let mut lines = vec![
        format!("{}{state}", style.paint(Paint::Bold, &few(steps))),
        format!("  {}", one_line(&reason.detail)),
    ];
    let action = reason.action.as_deref().map(one_line);
    lines.extend(action.map(|action| format!("  {action}")));
    lines
}

fn wait_for_it(steps: &[&str]) -> Option<String> {
    match steps {
        [] => None,
        [one] => Some(format!("  {one} waits for it")),
        several => Some(format!("  {} wait for it", few(several))),
    }
}
