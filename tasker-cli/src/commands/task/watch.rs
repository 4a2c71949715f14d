//! Follows a task to its end: a drawing that is drawn over in a terminal, else a line for each move.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{TaskDetail, Transition};

use crate::commands::task::fetch;
use crate::commands::task::show::{drawing, history};
use crate::drawing::{Extent, Look};
use crate::failure::Failure;
use crate::format::one_line;
use crate::output::Output;
use crate::screen::Screen;

/// Time between two looks at a task.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Lines of a live drawing that are not steps.
const FRAME: usize = 6;

/// Follows the task until it ends.
pub(crate) async fn until_end(
    database: &Database,
    task: TaskUuid,
    output: Output,
    look: Look,
    extent: Extent,
) -> Result<(), Failure> {
    let mut screen = Screen::default();
    let mut printed = 0;
    let mut last_document = serde_json::Value::Null;
    loop {
        let detail = fetch(database, task).await?;
        let document = serde_json::json!(detail);
        if document != last_document {
            output.json_line(&document)?;
            last_document = document;
        }
        if output.is_live() {
            let lines = drawing(&detail, Utc::now(), look, fitting(extent));
            screen.redraw(&lines)?;
        } else if !output.is_json() {
            let moves = history(database, task).await?;
            for transition in moves.iter().skip(printed) {
                let since = detail.summary.created_at;
                output.text(move_line(transition, since, "task", &detail, look))?;
            }
            printed = moves.len();
        }
        if detail.summary.state.is_terminal() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The extent that fits the terminal.
fn fitting(extent: Extent) -> Extent {
    match extent {
        Extent::All => Extent::All,
        Extent::Folded { most_lines } => Extent::Folded {
            most_lines: most_lines.min(Screen::rows().saturating_sub(FRAME)),
        },
    }
}

/// A move of a task or step on one line, with the time since `since` and what to call the task.
pub(crate) fn move_line(
    transition: &Transition,
    since: DateTime<Utc>,
    called: &str,
    task: &TaskDetail,
    look: Look,
) -> String {
    let seconds = (transition.at - since).as_seconds_f64();
    let arrow = if look.utf8 { "→" } else { "->" };
    let step = transition.step_name.as_deref();
    let step = step.and_then(|name| task.steps.iter().find(|step| step.name == name));
    let name = step.map(|step| format!(" {}", step.name));
    let attempt = match (transition.attempt.filter(|attempt| *attempt > 0), step) {
        (Some(attempt), Some(step)) => format!(" (attempt {attempt}/{})", step.max_attempts),
        _ => String::new(),
    };
    let reason = transition.reason.as_deref().map(one_line);
    format!(
        "{seconds:8.3} s  {called}{}: {} {arrow} {}{attempt}{}",
        name.unwrap_or_default(),
        transition.from_state,
        transition.to_state,
        reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default()
    )
}
