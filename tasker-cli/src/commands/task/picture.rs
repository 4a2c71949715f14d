//! A task as text: its drawing, and its moves.

use chrono::{DateTime, Utc};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::{TaskDetail, Transition};

use crate::commands::task::remark_on_results;
use crate::drawing::{Extent, Paint, Style, complaint, graph, title};
use crate::format::one_line;

/// Failures that are written out below a graph.
const MOST_FAILURES: usize = 10;

/// Title, graph, and what can be done about failures.
pub(crate) fn drawing(
    task: &TaskDetail,
    now: DateTime<Utc>,
    style: Style,
    extent: Extent,
) -> Vec<String> {
    let mut lines = vec![title(task, now, style)];
    if let Some(reason) = &task.reason {
        lines.push(format!("reason: {}", one_line(reason)));
    }
    lines.extend(remark_on_results(task));
    lines.push(String::new());
    lines.extend(graph(task, now, style, extent));
    let failed: Vec<_> = task
        .steps
        .iter()
        .filter(|step| step.state == StepState::Error)
        .collect();
    if let Some(first) = failed.first() {
        lines.push(String::new());
        for step in failed.iter().take(MOST_FAILURES) {
            let complaint = complaint(step).unwrap_or_default();
            let symbol = style.paint(Paint::Red, style.symbol(step.state));
            lines.push(format!("{symbol} {}: {complaint}", step.name));
        }
        if failed.len() > MOST_FAILURES {
            lines.push(format!("and {} more", failed.len() - MOST_FAILURES));
        }
        // A task that was cancelled or resolved has ended permanently.
        if matches!(task.summary.state, TaskState::InProgress | TaskState::Error) {
            let (task, step) = (task.summary.task_uuid.short(), &first.name);
            let way = format!("to go on: tasker step retry {task} {step} (or skip, or resolve)");
            lines.push(style.paint(Paint::Dim, &way));
        }
    }
    lines
}

/// A move of a task or step on one line, with the time since `since` and what to call the task.
pub(crate) fn move_line(
    transition: &Transition,
    since: DateTime<Utc>,
    called: &str,
    task: &TaskDetail,
    style: Style,
) -> String {
    let seconds = (transition.at - since).as_seconds_f64();
    let arrow = if style.utf8 { "→" } else { "->" };
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
