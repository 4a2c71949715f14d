//! `tasker task show`: draws a task.

use chrono::Utc;
use serde_json::{Value, json};
use tasker_shared::state::StepState;
use tasker_shared::tasks::Transition;

use crate::commands::task::picture::drawing;
use crate::commands::task::which::TaskArg;
use crate::commands::task::{fetch, history, payloads, watch};
use crate::drawing::{Extent, Paint, Style};
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
    let style = output.style(args.ascii);
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
        return watch::until_end(&database, task, output, style, extent).await;
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
    output.text(drawing(&task, Utc::now(), style, extent).join("\n"))?;
    let payloads = if args.full {
        payloads::whole(&task, style)
    } else {
        payloads::folded(&task, style)
    };
    if !payloads.is_empty() {
        output.text(format!("\n{}", payloads.join("\n")))?;
    }
    match history {
        Some(history) => output.text(format!("\n{}", as_table(&history, style))),
        None => Ok(()),
    }
}

fn as_table(history: &[Transition], style: Style) -> String {
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
    table.lines(style).join("\n")
}
