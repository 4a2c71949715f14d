//! What goes into a task and its steps and what comes out: folded to a line each, or whole.

use serde_json::Value;
use tasker_shared::tasks::{StepDetail, TaskDetail};
use unicode_width::UnicodeWidthStr;

use crate::drawing::{Paint, Style, padded};
use crate::format::harmless;

/// Lines of payloads that are shown folded.
const MOST_LINES: usize = 40;
/// Columns of a folded line where the terminal does not tell.
const COLUMNS: usize = 100;

/// One payload: whose it is, which, and what.
struct Payload<'t> {
    of: &'t str,
    kind: &'static str,
    value: &'t Value,
}

/// The context of the task, the inputs and results of its steps, a line each; nothing of what is
/// empty.
pub(crate) fn folded(task: &TaskDetail, style: Style) -> Vec<String> {
    let payloads = payloads(task);
    let widest = |width: fn(&Payload<'_>) -> usize| payloads.iter().map(width).max();
    let of = widest(|payload| payload.of.width()).unwrap_or(0);
    let kind = widest(|payload| payload.kind.width()).unwrap_or(0);
    let columns = style.width.unwrap_or(COLUMNS);
    let line = |payload: &Payload<'_>| {
        let text = harmless(&payload.value.to_string());
        let room = columns.saturating_sub(of + kind + 4).max(1);
        let kind = style.paint(Paint::Dim, &padded(payload.kind, kind));
        format!(
            "{}  {kind}  {}",
            padded(payload.of, of),
            style.cut(&text, room)
        )
    };
    let mut lines: Vec<String> = payloads.iter().take(MOST_LINES).map(line).collect();
    if payloads.len() > MOST_LINES {
        lines.push(format!("and {} more", payloads.len() - MOST_LINES));
    }
    lines
}

/// The same and the whole errors, each over as many lines as it takes.
pub(crate) fn whole(task: &TaskDetail, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for payload in payloads(task).into_iter().chain(errors(task)) {
        let title = format!("{} {}", payload.of, payload.kind);
        lines.push(style.paint(Paint::Bold, &title));
        lines.push(pretty(payload.value));
    }
    lines
}

fn payloads(task: &TaskDetail) -> Vec<Payload<'_>> {
    let mut payloads = Vec::new();
    let mut add = |of, kind, value| {
        if !is_empty(value) {
            payloads.push(Payload { of, kind, value });
        }
    };
    add("(task)", "context", &task.context);
    for step in &task.steps {
        add(&step.name, "input", &step.input);
        if let Some(result) = &step.result {
            add(&step.name, "result", result);
        }
    }
    payloads
}

fn errors(task: &TaskDetail) -> impl Iterator<Item = Payload<'_>> {
    task.steps.iter().filter_map(|step| {
        Some(Payload {
            of: &step.name,
            kind: "error",
            value: step.error.as_ref()?,
        })
    })
}

/// What the template gives a step that names no input, and what a handler returns that has nothing
/// to say.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The results of the steps that no other depends on: what came of the task.
pub(crate) fn results(task: &TaskDetail) -> Vec<(&str, &Value)> {
    let is_leaf = |step: &&StepDetail| {
        let mut others = task.steps.iter();
        !others.any(|other| other.depends_on.contains(&step.name))
    };
    let leaves = task.steps.iter().filter(is_leaf);
    leaves
        .filter_map(|step| Some((step.name.as_str(), step.result.as_ref()?)))
        .filter(|(_, result)| !result.is_null())
        .collect()
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    harmless(&text)
}
