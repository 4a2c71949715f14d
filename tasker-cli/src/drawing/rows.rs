//! What stands right of the lanes: a step's name, state, attempts, time and a note, in columns.

use chrono::{DateTime, Utc};
use tasker_shared::state::StepState;
use tasker_shared::tasks::{StepDetail, WaitsFor};
use unicode_width::UnicodeWidthStr;

use crate::drawing::fold::{Folded, Node};
use crate::drawing::lanes::{Gutter, Line};
use crate::drawing::style::{Paint, Style, step_paint};
use crate::drawing::{LANE_WIDTH, complaint, counts, time_of};
use crate::format::{between, duration, one_line};

/// Names of parents in a list.
const MOST_PARENTS: usize = 3;

/// The columns right of the lanes.
#[derive(Debug, Default)]
struct Columns {
    name: String,
    /// Whether the state goes on over the columns right of it.
    spans: bool,
    state: String,
    attempts: String,
    time: String,
    note: String,
}

/// Each step beside its place in the lanes.
pub(super) fn beside(
    gutter: &Gutter,
    folded: &Folded,
    steps: &[StepDetail],
    now: DateTime<Utc>,
    style: Style,
) -> Vec<String> {
    let columns: Vec<Columns> = folded
        .nodes
        .iter()
        .map(|node| columns_of(node, steps, now, style))
        .collect();
    let widths = Widths::of(&columns);
    let lane_columns = gutter.lanes * LANE_WIDTH;
    let draw = |line: &Line| {
        let Some(node) = line.node else {
            return style.paint(Paint::Dim, &style.lines(&line.before));
        };
        let state = state_of(&folded.nodes[node], steps);
        let used = line.before.width() + 1 + line.after.width();
        let lanes = format!(
            "{}{}{}{}",
            style.paint(Paint::Dim, &style.lines(&line.before)),
            style.paint(step_paint(state), style.symbol(state)),
            style.paint(Paint::Dim, &style.lines(&line.after)),
            " ".repeat(lane_columns.saturating_sub(used)),
        );
        let room = style.width.map(|width| width.saturating_sub(lane_columns));
        lanes + &widths.draw(&columns[node], state, style, room)
    };
    gutter.lines.iter().map(draw).collect()
}

/// Where there are too many edges to draw, each step names what it waits for.
pub(super) fn list(
    folded: &Folded,
    steps: &[StepDetail],
    now: DateTime<Utc>,
    style: Style,
) -> Vec<String> {
    let mut columns = Vec::new();
    let mut order = Vec::new();
    for node in folded.dag.layers().into_iter().flatten() {
        let mut line = columns_of(&folded.nodes[node], steps, now, style);
        let parents = folded.dag.parents(node);
        if line.note.is_empty() && !parents.is_empty() {
            let names = parents.iter().take(MOST_PARENTS);
            let names: Vec<String> = names
                .map(|&parent| name_of(&folded.nodes[parent], steps, style))
                .collect();
            let more = match parents.len().saturating_sub(MOST_PARENTS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            line.note = format!("after {}{more}", names.join(", "));
        }
        columns.push(line);
        order.push(node);
    }
    let widths = Widths::of(&columns);
    let room = style.width.map(|width| width.saturating_sub(LANE_WIDTH));
    let draw = |(node, line): (&usize, &Columns)| {
        let state = state_of(&folded.nodes[*node], steps);
        let symbol = style.paint(step_paint(state), style.symbol(state));
        format!("{symbol} {}", widths.draw(line, state, style, room))
    };
    order.iter().zip(&columns).map(draw).collect()
}

fn columns_of(node: &Node, steps: &[StepDetail], now: DateTime<Utc>, style: Style) -> Columns {
    let name = name_of(node, steps, style);
    let [step] = node.members.as_slice() else {
        let counts = counts(steps, &node.members);
        let texts: Vec<String> = counts
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let waiting = node
            .members
            .iter()
            .find_map(|&member| waits(&steps[member]));
        return Columns {
            name,
            spans: true,
            state: texts.join(", "),
            note: waiting.unwrap_or_default(),
            ..Columns::default()
        };
    };
    let step = &steps[*step];
    let attempts = if step.attempts > 0 {
        format!("{}/{}", step.attempts, step.max_attempts)
    } else {
        String::new()
    };
    Columns {
        name,
        spans: false,
        state: step.state.to_string(),
        attempts,
        time: time_of(step, now).map(duration).unwrap_or_default(),
        note: note_of(step, now, style),
    }
}

fn note_of(step: &StepDetail, now: DateTime<Utc>, style: Style) -> String {
    let due = match (step.state, step.retry_at) {
        (StepState::WaitingForRetry, Some(at)) if at > now => {
            Some(format!("retry in {}", duration(between(now, at))))
        }
        (StepState::WaitingForRetry, _) => Some("retry due".to_owned()),
        _ => None,
    };
    let complaint = match step.state {
        StepState::Complete | StepState::Skipped | StepState::ResolvedManually => None,
        _ => complaint(step),
    };
    let notes = [waits(step), due, complaint].into_iter().flatten();
    let notes: Vec<String> = notes.collect();
    notes.join(style.dot())
}

/// What a step waits for that the engine cannot bring about.
fn waits(step: &StepDetail) -> Option<String> {
    step.waits_for.map(|waits_for| match waits_for {
        WaitsFor::WorkerForHandler => {
            format!("no worker knows the handler '{}'", one_line(&step.handler))
        }
    })
}

fn name_of(node: &Node, steps: &[StepDetail], style: Style) -> String {
    match node.members.as_slice() {
        [] => String::new(),
        [step] => steps[*step].name.clone(),
        [first, .., last] => format!(
            "{} {} {} ({}{})",
            steps[*first].name,
            style.ellipsis(),
            steps[*last].name,
            if style.utf8 { "×" } else { "x" },
            node.members.len()
        ),
    }
}

/// The state of a line: of its step, or the one of several that asks most for attention.
fn state_of(node: &Node, steps: &[StepDetail]) -> StepState {
    let urgency = |state: StepState| match state {
        StepState::Error => 8,
        StepState::WaitingForRetry => 7,
        StepState::InProgress => 6,
        StepState::Enqueued => 5,
        StepState::Pending => 4,
        StepState::Cancelled => 3,
        StepState::ResolvedManually => 2,
        StepState::Skipped => 1,
        StepState::Complete => 0,
    };
    let states = node.members.iter().map(|&member| steps[member].state);
    states
        .max_by_key(|&state| urgency(state))
        .unwrap_or(StepState::Pending)
}

/// The widths of the columns, so that they stand below each other.
struct Widths {
    name: usize,
    state: usize,
    attempts: usize,
    time: usize,
}

impl Widths {
    fn of(columns: &[Columns]) -> Self {
        let widest = |width: fn(&Columns) -> usize| columns.iter().map(width).max().unwrap_or(0);
        Self {
            name: widest(|line| line.name.width()),
            state: widest(|line| if line.spans { 0 } else { line.state.width() }),
            attempts: widest(|line| line.attempts.width()),
            time: widest(|line| line.time.width()),
        }
    }

    fn draw(&self, line: &Columns, state: StepState, style: Style, room: Option<usize>) -> String {
        let cells = [
            (&line.name, self.name, Paint::Plain),
            (&line.state, self.state, step_paint(state)),
            (&line.attempts, self.attempts, Paint::Dim),
            (&line.time, self.time, Paint::Dim),
            (&line.note, 0, step_paint(state)),
        ];
        let mut left = room.unwrap_or(usize::MAX);
        let mut text = String::new();
        let mut gap = 0;
        for (cell, width, paint) in cells {
            if cell.is_empty() {
                gap += if width > 0 { width + 2 } else { 0 };
                continue;
            }
            if left <= gap {
                break;
            }
            text.push_str(&" ".repeat(gap));
            left -= gap;
            let cell = style.cut(cell, left);
            left = left.saturating_sub(cell.width());
            gap = width.saturating_sub(cell.width()) + 2;
            text.push_str(&style.paint(paint, &cell));
        }
        text
    }
}
