//! The table of a task's steps, page by page.

use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::state::StepState;
use tasker_shared::tasks::{StepInDetail, StepOutline};

use super::{Looked, step_address};
use crate::problem::{Kind, Problem};
use crate::ui::parts::{
    between, dash, foreign, in_words, moment_or_dash, number, step_sign, step_state, task_address,
};

/// Steps of a page; the timeline shows the same ones.
const PAGE_SIZE: usize = 100;

/// Which steps to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepParams {
    /// Only those in this state.
    state: Option<String>,
    /// The page, from 1.
    page: Option<String>,
}

/// The steps that are shown.
pub(super) struct View {
    state: Option<StepState>,
    page: usize,
    /// How many there are on all pages together.
    matching: usize,
}

impl View {
    pub(super) fn of(params: &StepParams) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(Kind::InvalidRequest, detail);
        let state = params.state.as_deref().filter(|state| !state.is_empty());
        let state = state.map(str::parse).transpose();
        let page = params.page.as_deref().map_or(Ok(1), str::parse);
        Ok(Self {
            state: state.map_err(|error| invalid(format!("state: {error}")))?,
            page: page
                .ok()
                .filter(|page| (1..=10_000).contains(page))
                .ok_or_else(|| {
                    let page = params.page.as_deref().unwrap_or_default();
                    invalid(format!("page is {page:?}, expected a number from 1 on"))
                })?,
            matching: 0,
        })
    }

    /// The numbers of the steps of this page; counts those of all pages.
    pub(super) fn select(&mut self, steps: &[StepOutline]) -> Vec<i32> {
        let matching = |step: &&StepOutline| self.state.is_none_or(|state| step.state == state);
        let matching: Vec<_> = steps
            .iter()
            .filter(matching)
            .map(|step| step.step_no)
            .collect();
        self.matching = matching.len();
        let page = matching.chunks(PAGE_SIZE).nth(self.page - 1);
        page.map(<[i32]>::to_vec).unwrap_or_default()
    }

    /// The query of another page, or of other states.
    fn query(state: Option<StepState>, page: usize) -> String {
        let state = state.map_or_else(String::new, |state| format!("state={state}&"));
        format!("?{state}page={page}#steps")
    }
}

/// The steps of the page, with links to the others.
pub(super) fn table(looked: &Looked, view: &View) -> Markup {
    let task_uuid = looked.task.summary.task_uuid;
    let address = task_address(task_uuid);
    let last = view.matching.div_ceil(PAGE_SIZE);
    html! {
        h2 #steps { "Steps" }
        (states(&looked.steps, view, &address))
        @if looked.shown.is_empty() {
            p.none { "No step is in this state." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Steps" {
                table {
                    thead { tr {
                        th scope="col" { "Step" } th scope="col" { "State" } th.number scope="col" { "Attempts" }
                        th scope="col" { "Started" } th.number scope="col" { "Took" }
                        th scope="col" { "Worker" } th scope="col" { "Error" }
                    } }
                    tbody { @for step in &looked.shown { (row(looked, step)) } }
                }
            }
        }
        @if last > 1 {
            nav.pages aria-label="Pages of steps" {
                @if view.page > 1 { a href=(address.clone() + &View::query(view.state, view.page - 1)) rel="prev" { "Previous" } }
                span { "Page " (view.page) " of " (last) }
                @if view.page < last { a href=(address.clone() + &View::query(view.state, view.page + 1)) rel="next" { "Next" } }
            }
        }
    }
}

/// Links to the steps in each state that there are any in.
fn states(steps: &[StepOutline], view: &View, address: &str) -> Markup {
    let count = |state| steps.iter().filter(|step| step.state == state).count();
    let amount = |count: usize| number(i64::try_from(count).unwrap_or(i64::MAX));
    html! {
        nav.chips aria-label="Steps by state" {
            a href=(address.to_owned() + &View::query(None, 1)) aria-current=[view.state.is_none().then_some("true")] {
                "All " (amount(steps.len()))
            }
            @for &state in StepState::ALL {
                @let count = count(state);
                @if count > 0 || view.state == Some(state) {
                    a href=(address.to_owned() + &View::query(Some(state), 1)) aria-current=[(view.state == Some(state)).then_some("true")] {
                        span aria-hidden="true" { (step_sign(state)) " " } (in_words(state.as_str())) " " (amount(count))
                    }
                }
            }
        }
    }
}

fn row(looked: &Looked, step: &StepInDetail) -> Markup {
    let until = step
        .finished_at
        .or((step.state == StepState::InProgress).then_some(looked.task.now));
    html! {
        tr data-row id=(format!("step-{}", step.step_no)) {
            th scope="row" { a href=(step_address(looked.task.summary.task_uuid, &step.name)) { (foreign(&step.name)) } }
            td { (step_state(step.state)) }
            td.number { (step.attempts) " of " (step.max_attempts) }
            td { (moment_or_dash(step.started_at)) }
            td.number {
                @match step.started_at.zip(until) {
                    Some((from, to)) => (between(from, to)),
                    None => (dash()),
                }
            }
            td { @if let Some(worker) = &step.worker { (foreign(worker)) } @else { (dash()) } }
            td.error-text { @if let Some(error) = &step.error { (foreign(error)) } }
        }
    }
}
