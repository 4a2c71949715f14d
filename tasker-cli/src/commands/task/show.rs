//! `tasker task show`: draws a task.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::{TaskDetail, Transition, task_history};

use crate::commands::task::which::TaskArg;
use crate::commands::task::{fetch, payloads, remark_on_results, watch};
use crate::drawing::{Extent, Look, Paint, complaint, graph, title};
use crate::failure::Failure;
use crate::format::{one_line, precise_moment};
use crate::setup::Setup;
use crate::table::{Table, plain};

/// Lines of steps above which long chains are folded.
const MOST_LINES: usize = 60;

const EXAMPLES: &str = "\
Symbols: ○ pending  ◔ enqueued  ◐ in_progress  ↻ waiting_for_retry  ● complete  ✖ error
         ⊘ cancelled  ⊝ skipped  ◉ resolved_manually";

/// Arguments of `tasker task show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Args {
    /// The task: its UUID, or the digits that lists show
    #[arg(value_name = "TASK")]
    task: TaskArg,

    /// Also print every move of the task and its steps
    #[arg(long)]
    history: bool,

    /// Draw again and again until the task ends; prints changes where it is no terminal
    #[arg(long, conflicts_with = "history")]
    watch: bool,

    /// Print context, inputs, results and errors whole, not folded to a line each
    #[arg(long, conflicts_with = "watch")]
    full: bool,

    /// Draw every step, however many look alike
    #[arg(long)]
    all: bool,

    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
}

/// Shows the task.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let look = output.look(args.ascii);
    let database = setup.database().await?;
    let task = args.task.find(&database).await?;
    let extent = if args.all {
        Extent::All
    } else {
        Extent::Folded {
            most_lines: MOST_LINES,
        }
    };
    if args.watch {
        return watch::until_end(&database, task, output, look, extent).await;
    }
    let history = if args.history {
        Some(history(&database, task).await?)
    } else {
        None
    };
    let task = fetch(&database, task).await?;
    let mut document = json!(task);
    if let (Value::Object(document), Some(history)) = (&mut document, &history) {
        document.insert("history".to_owned(), json!(history));
    }
    output.document(&document)?;
    output.text(drawing(&task, Utc::now(), look, extent).join("\n"))?;
    let payloads = if args.full {
        payloads::whole(&task, look)
    } else {
        payloads::folded(&task, look)
    };
    if !payloads.is_empty() {
        output.text(format!("\n{}", payloads.join("\n")))?;
    }
    match history {
        Some(history) => output.text(format!("\n{}", as_table(&history, look))),
        None => Ok(()),
    }
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

/// Title, graph, and what can be done about failures.
pub(crate) fn drawing(
    task: &TaskDetail,
    now: DateTime<Utc>,
    look: Look,
    extent: Extent,
) -> Vec<String> {
    let mut lines = vec![title(task, now, look)];
    if let Some(reason) = &task.reason {
        lines.push(format!("reason: {}", one_line(reason)));
    }
    lines.extend(remark_on_results(task));
    lines.push(String::new());
    lines.extend(graph(task, now, look, extent));
    let failed: Vec<_> = task
        .steps
        .iter()
        .filter(|step| step.state == StepState::Error)
        .collect();
    if let Some(first) = failed.first() {
        lines.push(String::new());
        for step in failed.iter().take(MOST_FAILURES) {
            let complaint = complaint(step).unwrap_or_default();
            let symbol = look.paint(Paint::Red, look.symbol(step.state));
            lines.push(format!("{symbol} {}: {complaint}", step.name));
        }
        if failed.len() > MOST_FAILURES {
            lines.push(format!("and {} more", failed.len() - MOST_FAILURES));
        }
        // A task that was cancelled or resolved has ended permanently.
        if matches!(task.summary.state, TaskState::InProgress | TaskState::Error) {
            let (task, step) = (task.summary.task_uuid.short(), &first.name);
            let way = format!("to go on: tasker step retry {task} {step} (or skip, or resolve)");
            lines.push(look.paint(Paint::Dim, &way));
        }
    }
    lines
}

/// Failures that are written out below a graph.
const MOST_FAILURES: usize = 10;

fn as_table(history: &[Transition], look: Look) -> String {
    let mut table = Table::new(&["AT", "STEP", "ATTEMPT", "FROM", "TO", "BY", "WHY"]);
    for transition in history {
        let attempt = transition.attempt.filter(|attempt| *attempt > 0);
        let state = transition.to_state.parse::<StepState>();
        let paint = state.map_or(Paint::Plain, crate::drawing::step_paint);
        table.row([
            plain(precise_moment(transition.at)),
            plain(transition.step_name.as_deref().unwrap_or("(task)")),
            plain(
                attempt
                    .map(|attempt| attempt.to_string())
                    .unwrap_or_default(),
            ),
            plain(transition.from_state.clone()),
            (transition.to_state.clone(), paint),
            plain(one_line(transition.actor.as_deref().unwrap_or_default())),
            plain(one_line(transition.reason.as_deref().unwrap_or_default())),
        ]);
    }
    table.lines(look).join("\n")
}
