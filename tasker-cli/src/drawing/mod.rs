//! A task drawn as a graph: a line for each step, with its state, beside the lanes of its edges.

mod fold;
mod lanes;
mod rows;
mod style;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tasker_shared::dag::Dag;
use tasker_shared::state::StepState;
use tasker_shared::tasks::{StepDetail, TaskDetail};

use crate::drawing::fold::{fold, unfolded};
use crate::drawing::lanes::gutter;
pub(crate) use crate::drawing::style::{Paint, Style, padded, step_paint, task_paint};
use crate::format::{between, duration, one_line};

/// Lanes that are drawn where the columns are not known; a wider graph becomes a list.
const MOST_LANES: usize = 20;
/// The part of the columns that lanes may take.
const LANES_PART: usize = 3;
/// Columns that one lane takes.
const LANE_WIDTH: usize = 2;

/// How much of a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every step.
    All,
    /// Groups of steps that look alike as one line, chains only beyond so many lines.
    Folded {
        /// Lines that may be drawn before chains are folded.
        most_lines: usize,
    },
}

/// The graph of a task with the states of its steps, line by line.
pub(crate) fn graph(
    task: &TaskDetail,
    now: DateTime<Utc>,
    style: Style,
    extent: Extent,
) -> Vec<String> {
    let steps = &task.steps;
    let Some(dag) = dag_of(steps) else {
        return Vec::new();
    };
    let folded = match extent {
        Extent::All => unfolded(&dag),
        Extent::Folded { most_lines } => {
            fold(&dag, steps, most_lines).unwrap_or_else(|| unfolded(&dag))
        }
    };
    let gutter = gutter(&folded.dag);
    let most_lanes = style
        .width
        .map_or(MOST_LANES, |width| width / LANES_PART / LANE_WIDTH);
    if gutter.lanes > most_lanes {
        return rows::list(&folded, steps, now, style);
    }
    rows::beside(&gutter, &folded, steps, now, style)
}

/// The graph of a task as symbols, layer after layer, and the columns that takes.
pub(crate) fn in_one_line(task: &TaskDetail, style: Style) -> (String, usize) {
    let layers = dag_of(&task.steps).map(|dag| dag.layers());
    let (mut line, mut width) = (String::new(), 0);
    for (at, layer) in layers.unwrap_or_default().into_iter().enumerate() {
        if at > 0 {
            line.push_str(&style.paint(Paint::Dim, &style.lines("─")));
            width += 1;
        }
        for step in layer {
            let state = task.steps[step].state;
            line.push_str(&style.paint(step_paint(state), style.symbol(state)));
            width += 1;
        }
    }
    (line, width)
}

/// What stands above a graph: which task it is, and how it stands.
pub(crate) fn title(task: &TaskDetail, now: DateTime<Utc>, style: Style) -> String {
    let summary = &task.summary;
    let state = style.paint(task_paint(summary.state), summary.state.as_str());
    let end = summary.finished_at.unwrap_or(now);
    let word = if summary.state.is_terminal() {
        "after"
    } else {
        "for"
    };
    format!(
        "{}{dot}{}/{}@{}{dot}{state} {word} {}",
        style.paint(Paint::Bold, &summary.task_uuid.to_string()),
        summary.namespace,
        summary.name,
        summary.version,
        duration(between(summary.created_at, end)),
        dot = style.dot(),
    )
}

/// The states of the steps and how often each occurs, in the order of the states.
pub(crate) fn counts(steps: &[StepDetail], members: &[usize]) -> Vec<(StepState, usize)> {
    let count = |state| members.iter().filter(|&&m| steps[m].state == state).count();
    StepState::ALL
        .iter()
        .map(|&state| (state, count(state)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// What a failed or waiting step has to say.
pub(crate) fn complaint(step: &StepDetail) -> Option<String> {
    let error = step.error.as_ref()?;
    let text = |key: &str| error.get(key).and_then(serde_json::Value::as_str);
    let complaint = match (text("kind"), text("message")) {
        (Some(kind), Some(message)) if !message.is_empty() => format!("{kind}: {message}"),
        (Some(kind), _) => kind.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) => error.to_string(),
    };
    Some(one_line(&complaint))
}

/// How long a step's latest attempt took, or has been running. Of one that was settled by hand the
/// time until then would say nothing.
pub(crate) fn time_of(step: &StepDetail, now: DateTime<Utc>) -> Option<std::time::Duration> {
    let started = step.started_at?;
    match step.state {
        StepState::InProgress => Some(between(started, now)),
        StepState::Skipped | StepState::ResolvedManually => None,
        _ => step.finished_at.map(|finished| between(started, finished)),
    }
}

fn dag_of(steps: &[StepDetail]) -> Option<Dag> {
    let index: HashMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| (step.name.as_str(), index))
        .collect();
    let parents = steps.iter().map(|step| {
        let parents = step.depends_on.iter();
        parents
            .filter_map(|name| index.get(name.as_str()).copied())
            .collect()
    });
    // The database holds no cycles; should it, there is nothing to be drawn.
    Dag::new(parents.collect()).ok()
}
