//! When each step waited, was queued, ran and backed off, as SVG.

use crate::ui::prelude::*;
use chrono::{DateTime, TimeDelta, Utc};
use tasker_shared::state::StepState;
use tasker_shared::tasks::{Move, StepInDetail, TaskOutline};
use tasker_shared::words;

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

/// What a step does in a state: the class of its bar, how high that is, and the word for it.
const KINDS: [(StepState, &str, i64, &str); 4] = [
    (StepState::Pending, "waiting", 2, "waiting"),
    (StepState::Enqueued, "queued", 6, "queued"),
    (StepState::InProgress, "running", 14, "running"),
    (StepState::WaitingForRetry, "backing-off", 6, "backing off"),
];

/// A time that a step spent in a state.
struct Span {
    state: StepState,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    attempt: i32,
    failed: bool,
}

/// From the task's submission to its end.
struct Times {
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// The times of these steps.
pub(super) fn timeline(task: &TaskOutline, steps: &[StepInDetail], moves: &[Move]) -> Markup {
    let begin = task.summary.created_at;
    let last = moves.iter().map(|one| one.at).max().unwrap_or(begin);
    let end = task.summary.finished_at.unwrap_or(task.now).max(last);
    let end = end.max(begin + TimeDelta::milliseconds(1));
    let times = Times { begin, end };
    let rows = i64::try_from(steps.len()).unwrap_or(0);
    let (width, height) = (NAMES + BARS + END, SCALE + rows * ROW);
    html! {
        @if !steps.is_empty() {
            h2 #timeline { "Timeline" }
            ul.legend {
                @for (_, class, high, word) in KINDS {
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
                    @for mark in 0..=MARKS { (times.mark(mark, height)) }
                    @for (middle, step) in (0..).map(|row| SCALE + row * ROW + ROW / 2).zip(steps) {
                        (name(task, step, middle))
                        @for span in times.spans(step, moves) { (times.bar(&span, middle)) }
                        @if let Some(at) = step.started_at {
                            text x=(NAMES + BARS + 12) y=(middle + 4) { (between(at, step.finished_at.unwrap_or(end))) }
                        }
                    }
                }
            }
        }
    }
}

fn name(task: &TaskOutline, step: &StepInDetail, middle: i64) -> Markup {
    let says = format!("{}: {}", step.name, in_words(step.state.as_str()));
    html! {
        a href=(step_address(task.summary.task_uuid, &step.name)) aria-label=(says) {
            text.name x="0" y=(middle + 4) { (shortened(&step.name, MOST_CHARACTERS)) }
        }
    }
}

impl Times {
    /// The times of a step, the earliest first.
    fn spans(&self, step: &StepInDetail, moves: &[Move]) -> Vec<Span> {
        let mut now = Some((StepState::Pending, self.begin, 0));
        let mut spans = Vec::new();
        let moves = moves
            .iter()
            .rev()
            .filter(|one| one.step_no == Some(step.step_no));
        for one in moves {
            let next: Option<StepState> = one.to_state.parse().ok();
            let failed = matches!(next, Some(StepState::Error | StepState::WaitingForRetry));
            // What was before the first move is known where the step had not moved at all.
            let known = now.filter(|(state, ..)| state.as_str() == one.from_state);
            spans.extend(known.map(|now| (now, one.at, failed)));
            now = next.map(|state| (state, one.at, one.attempt.unwrap_or(0)));
        }
        spans.extend(now.map(|now| (now, self.end, false)));
        let spans = spans
            .into_iter()
            .map(|((state, from, attempt), to, failed)| Span {
                state,
                from,
                to,
                attempt,
                failed,
            });
        spans.collect()
    }

    fn bar(&self, span: &Span, middle: i64) -> Markup {
        let kind = KINDS.iter().find(|(state, ..)| *state == span.state);
        let Some((_, class, high, word)) = kind else {
            return Markup::default();
        };
        let (left, right) = (self.place(span.from), self.place(span.to));
        html! {
            rect class=(class) x=(left) y=(middle - high / 2) width=((right - left).max(1)) height=(high) {
                title {
                    (word) " for " (between(span.from, span.to))
                    @if span.attempt > 0 { ", attempt " (span.attempt) }
                }
            }
            @if span.failed && span.state == StepState::InProgress { text.failed x=(right) y=(middle + 4) { "✕" } }
        }
    }

    fn place(&self, at: DateTime<Utc>) -> i64 {
        let part = (at - self.begin).as_seconds_f64() / (self.end - self.begin).as_seconds_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a cast of a float saturates, and a few pixels are exact"
        )]
        let place = (part.clamp(0.0, 1.0) * BARS as f64) as i64;
        NAMES + place
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
