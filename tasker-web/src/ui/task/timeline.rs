//! When each step waited, was queued, ran and backed off, as SVG.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use tasker_shared::state::StepState;
use tasker_shared::tasks::{Move, StepInDetail, TaskOutline};
use tasker_shared::words;

use super::step_address;
use crate::ui::parts::{between, in_words};

/// Pixels: of the names, of the bars, of what is behind them, of a row and of the scale.
const NAMES: i64 = 200;
const BARS: i64 = 860;
const END: i64 = 90;
const ROW: i64 = 22;
const SCALE: i64 = 24;

/// Characters of a name that there is room for.
const MOST_CHARACTERS: usize = 26;

/// Marks of the scale.
const MARKS: u32 = 4;

/// What a step does over a time: the class, how high its bar is, and the word for it.
const KINDS: [(&str, i64, &str); 4] = [
    ("waiting", 2, "waiting"),
    ("queued", 6, "queued"),
    ("running", 14, "running"),
    ("backing-off", 6, "backing off"),
];

/// A time that a step spent in a state.
struct Span {
    kind: (&'static str, i64, &'static str),
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    attempt: i32,
    failed: bool,
}

/// The times of these steps.
pub(super) fn timeline(task: &TaskOutline, steps: &[StepInDetail], moves: &[Move]) -> Markup {
    let begin = task.summary.created_at;
    let last = moves.iter().map(|one| one.at).max();
    let end = task
        .summary
        .finished_at
        .unwrap_or(task.now)
        .max(last.unwrap_or(begin));
    let end = end.max(begin + TimeDelta::milliseconds(1));
    let scale = Scale { begin, end };
    let rows = i64::try_from(steps.len()).unwrap_or(0);
    let (width, height) = (NAMES + BARS + END, SCALE + rows * ROW);
    html! {
        @if !steps.is_empty() {
            h2 #timeline { "Timeline" }
            ul.legend {
                @for (class, high, word) in KINDS {
                    li {
                        svg.timeline width="28" height="16" aria-hidden="true" { rect class=(class) y=(8 - high / 2) width="28" height=(high) {} }
                        (word)
                    }
                }
                li { span.bad aria-hidden="true" { "✕ " } "attempt failed" }
            }
            div.scroll tabindex="0" role="region" aria-label="Timeline" {
                svg.timeline role="group" width=(width) height=(height) viewBox=(format!("0 0 {width} {height}"))
                    aria-label=(format!("What {} did in {}", words::count(steps.len(), "step"), between(begin, end))) {
                    @for mark in 0..=MARKS { (scale.mark(mark, height)) }
                    @for (row, step) in (0_i64..).zip(steps) {
                        (bars(task, step, &spans(task, end, step, moves), &scale, SCALE + row * ROW))
                    }
                }
            }
        }
    }
}

/// The times of a step, the earliest first.
fn spans(task: &TaskOutline, end: DateTime<Utc>, step: &StepInDetail, moves: &[Move]) -> Vec<Span> {
    let mut from = Some((task.summary.created_at, StepState::Pending, 0));
    let mut spans = Vec::new();
    for one in moves
        .iter()
        .rev()
        .filter(|one| one.step_no == Some(step.step_no))
    {
        // What was before the first move is known where the step had not moved at all.
        let before = one.from_state.parse().ok();
        let known = from.filter(|(_, state, _)| before == Some(*state));
        let to_state = one.to_state.parse().ok();
        let failed = matches!(
            to_state,
            Some(StepState::Error | StepState::WaitingForRetry)
        );
        spans.extend(known.and_then(|since| span(since, one.at, failed)));
        from = to_state.map(|state| (one.at, state, one.attempt.unwrap_or(0)));
    }
    spans.extend(from.and_then(|since| span(since, end, false)));
    spans
}

fn span(
    (from, state, attempt): (DateTime<Utc>, StepState, i32),
    to: DateTime<Utc>,
    failed: bool,
) -> Option<Span> {
    let kind = match state {
        StepState::Pending => KINDS[0],
        StepState::Enqueued => KINDS[1],
        StepState::InProgress => KINDS[2],
        StepState::WaitingForRetry => KINDS[3],
        _ => return None,
    };
    Some(Span {
        kind,
        from,
        to,
        attempt,
        failed,
    })
}

fn bars(
    task: &TaskOutline,
    step: &StepInDetail,
    spans: &[Span],
    scale: &Scale,
    top: i64,
) -> Markup {
    let middle = top + ROW / 2;
    let ran = step
        .started_at
        .map(|at| between(at, step.finished_at.unwrap_or(scale.end)));
    let name: String = step.name.chars().take(MOST_CHARACTERS).collect();
    html! {
        a href=(step_address(task.summary.task_uuid, &step.name)) aria-label=(format!("{}: {}", step.name, in_words(step.state.as_str()))) {
            text.name x="0" y=(middle + 4) { (name) @if name.len() < step.name.len() { "…" } }
        }
        @for span in spans {
            @let (class, high, word) = span.kind;
            @let (left, right) = (scale.place(span.from), scale.place(span.to));
            rect class=(class) x=(left) y=(middle - high / 2) width=((right - left).max(1)) height=(high) {
                title {
                    (word) " for " (between(span.from, span.to))
                    @if span.attempt > 0 { ", attempt " (span.attempt) }
                }
            }
            @if span.failed && class == "running" { text.failed x=(right) y=(middle + 4) { "✕" } }
        }
        @if let Some(ran) = ran { text x=(NAMES + BARS + 12) y=(middle + 4) { (ran) } }
    }
}

/// From the task's submission to its end.
struct Scale {
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Scale {
    fn place(&self, at: DateTime<Utc>) -> i64 {
        let whole = (self.end - self.begin)
            .num_microseconds()
            .unwrap_or(i64::MAX)
            .max(1);
        let part = (at - self.begin).num_microseconds().unwrap_or(i64::MAX);
        let place = i128::from(part) * i128::from(BARS) / i128::from(whole);
        NAMES + i64::try_from(place).unwrap_or(BARS).clamp(0, BARS)
    }

    fn mark(&self, mark: u32, height: i64) -> Markup {
        let since = words::between(self.begin, self.end) * mark / MARKS;
        let x = NAMES + BARS * i64::from(mark) / i64::from(MARKS);
        html! {
            line.mark x1=(x) x2=(x) y1=(SCALE - 6) y2=(height) {}
            text.mark x=(x) y="12" { @if mark == 0 { "0" } @else { (words::duration(since)) } }
        }
    }
}
