//! The table of a task's steps, page by page.

use std::num::NonZeroU16;

use serde::Deserialize;
use tasker_shared::state::StepState;
use tasker_shared::tasks::{StepInDetail, StepOutline, TaskOutline};

use super::Looked;
use crate::ui::prelude::*;

/// Steps of a page; the timeline shows the same ones.
const PAGE_SIZE: usize = 100;

/// Which steps to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    /// Only those in this state.
    state: Option<StepState>,
    page: Option<NonZeroU16>,
    /// How many there are on all pages together.
    #[serde(skip)]
    matching: usize,
}

impl View {
    /// The page, from 1.
    fn page(&self) -> usize {
        self.page.map_or(1, |page| page.get().into())
    }

    /// The numbers of the steps of this page; counts those of all pages.
    pub(super) fn select(&mut self, steps: &[StepOutline]) -> Vec<i32> {
        let matching = steps
            .iter()
            .filter(|step| self.state.is_none_or(|state| step.state == state));
        let matching: Vec<_> = matching.map(|step| step.step_no).collect();
        self.matching = matching.len();
        let page = matching.chunks(PAGE_SIZE).nth(self.page() - 1);
        page.map(<[i32]>::to_vec).unwrap_or_default()
    }
}

/// The steps of the page, with links to the others.
pub(super) fn list(looked: &Looked, view: &View) -> Markup {
    let last = view.matching.div_ceil(PAGE_SIZE);
    let here = task_address(looked.task.summary.task_uuid);
    let link = |state: Option<StepState>, page: usize| {
        let state = state.map_or("", StepState::as_str);
        address(&here, &[("state", state), ("page", &page.to_string())]) + "#steps"
    };
    let count = |state| {
        looked
            .steps
            .iter()
            .filter(|step| step.state == state)
            .count()
    };
    let counts = StepState::ALL.iter().map(|state| (*state, count(*state)));
    html! {
        h2 #steps { "Steps" }
        nav.tabs aria-label="Steps by state" {
            a href=(link(None, 1)) aria-current=[view.state.is_none().then_some("true")] { "All " (number(looked.steps.len())) }
            @for (state, count) in counts.filter(|(state, count)| *count > 0 || view.state == Some(*state)) {
                a href=(link(Some(state), 1)) aria-current=[(view.state == Some(state)).then_some("true")] {
                    span aria-hidden="true" { (sign(state.as_str())) " " } (in_words(state.as_str())) " " (number(count))
                }
            }
        }
        @if looked.shown.is_empty() {
            p.none { "No step is in this state." }
        } @else {
            (table("Steps",
                ["Step", "State", "# Attempts", "Started", "# Took", "Worker", "Error"],
                looked.shown.iter().map(|step| row(&looked.task, step))))
        }
        @if last > 1 {
            nav.pages aria-label="Pages of steps" {
                @if view.page() > 1 { a href=(link(view.state, view.page() - 1)) rel="prev" { "Previous" } }
                span { "Page " (view.page()) " of " (last) }
                @if view.page() < last { a href=(link(view.state, view.page() + 1)) rel="next" { "Next" } }
            }
        }
    }
}

fn row(task: &TaskOutline, step: &StepInDetail) -> (String, [Markup; 7]) {
    let is_running = step.state == StepState::InProgress;
    let until = step.finished_at.or(is_running.then_some(task.now));
    let cells = [
        step_link(task.summary.task_uuid, &step.name),
        state(step.state.as_str()),
        html! { (step.attempts) " of " (step.max_attempts) },
        moment_if_any(step.started_at),
        html! { @if let Some((from, to)) = step.started_at.zip(until) { (between(from, to)) } },
        foreign_if_any(step.worker.as_ref()),
        html! { @if let Some(error) = step.error.as_ref().filter(|error| !error.is_empty()) { div.text.bad { (foreign(error)) } } },
    ];
    (format!("step-{}", step.step_no), cells)
}
