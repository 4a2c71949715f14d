//! Follows a task to its end: a drawing that is drawn over in a terminal, else a line for each move.

use std::time::Duration;

use chrono::Utc;
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;

use crate::commands::task::picture::{drawing, move_line};
use crate::commands::task::{fetch, history};
use crate::drawing::{Extent, Style};
use crate::failure::Failure;
use crate::output::Output;
use crate::screen::Screen;

/// Time between two looks at a task.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Lines of a live drawing that are not steps.
const FRAME: usize = 6;

/// Follows the task until it ends.
pub(crate) async fn until_end(
    database: &Database,
    task: TaskUuid,
    output: Output,
    style: Style,
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
            let lines = drawing(&detail, Utc::now(), style, fitting(extent));
            screen.redraw(&lines)?;
        } else if !output.is_json() {
            let moves = history(database, task).await?;
            for transition in moves.iter().skip(printed) {
                let since = detail.summary.created_at;
                output.text(move_line(transition, since, "task", &detail, style))?;
            }
            printed = moves.len();
        }
        if detail.summary.state.is_terminal() {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
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
