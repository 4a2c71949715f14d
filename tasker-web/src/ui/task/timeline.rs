//! When each step waited, was queued, ran and backed off, as SVG.

use crate::ui::prelude::*;
use chrono::{DateTime, TimeDelta, Utc};
use tasker_shared::tasks::{Move, StepInDetail, TaskOutline};
use tasker_shared::words;

/// Pixels: of the names, of the bars, of what is behind them, of a row and of the scale.
const NAMES: f64 = 200.0;
const BARS: f64 = 860.0;
const END: f64 = 90.0;
const ROW: i64 = 22;
const SCALE: i64 = 24;

/// Characters of a name that there is room for.
const MOST_CHARACTERS: usize = 26;

/// Marks of the scale.
const MARKS: u32 = 4;

/// What a step does in a state: the class of its bar, how high that is, and the word for it.
const KINDS: [(&str, &str, i64, &str); 4] = [
    ("pending", "waiting", 2, "waiting"),
    ("enqueued", "queued", 6, "queued"),
    ("in_progress", "running", 14, "running"),
    ("waiting_for_retry", "backing-off", 6, "backing off"),
];

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
                        (times.bars(step, moves, middle))
                        @if let Some(at) = step.started_at {
                            text x=(NAMES + BARS + 12.0) y=(middle + 4) { (between(at, step.finished_at.unwrap_or(end))) }
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
    fn bars(&self, step: &StepInDetail, moves: &[Move], middle: i64) -> Markup {
        let moves: Vec<_> = moves
            .iter()
            .rev()
            .filter(|one| one.step_no == Some(step.step_no))
            .collect();
        // What was before the first move is known where the step had not moved at all.
        let is_known = moves.first().is_none_or(|one| one.from_state == "pending");
        let first = is_known.then_some(("pending", self.begin, 0));
        let later = moves
            .iter()
            .map(|one| (&*one.to_state, one.at, one.attempt.unwrap_or(0)));
        let states: Vec<_> = first.into_iter().chain(later).collect();
        let next = states.iter().skip(1).map(|(state, at, _)| (*state, *at));
        let ends = next.chain([("", self.end)]);
        html! {
            @for ((state, from, attempt), (next, to)) in states.iter().zip(ends) {
                @if let Some((_, class, high, word)) = KINDS.iter().find(|(kind, ..)| kind == state) {
                    @let (left, right) = (self.place(*from), self.place(to));
                    rect class=(class) x=(left) y=(middle - high / 2) width=((right - left).max(1.0)) height=(high) {
                        title { (word) " for " (between(*from, to)) @if *attempt > 0 { ", attempt " (attempt) } }
                    }
                    @if *state == "in_progress" && ["error", "waiting_for_retry"].contains(&next) {
                        text.failed x=(right) y=(middle + 4) { "✕" }
                    }
                }
            }
        }
    }

    fn place(&self, at: DateTime<Utc>) -> f64 {
        let part = (at - self.begin).as_seconds_f64() / (self.end - self.begin).as_seconds_f64();
        (NAMES + BARS * part.clamp(0.0, 1.0)).round()
    }

    fn mark(&self, mark: u32, height: i64) -> Markup {
        let since = words::between(self.begin, self.end) * mark / MARKS;
        let x = NAMES + BARS * f64::from(mark) / f64::from(MARKS);
        html! {
            line.mark x1=(x) x2=(x) y1=(SCALE - 6) y2=(height) {}
            text.mark x=(x) y="12" { @if mark == 0 { "0" } @else { (words::duration(since)) } }
        }
    }
}
