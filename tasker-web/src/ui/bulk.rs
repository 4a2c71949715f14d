//! What is done to many tasks at once: counted and confirmed, started, and followed to its end.

use axum::Json;
use axum::response::Redirect;
use serde::Deserialize;
use tasker_shared::bulk::{BulkAct, BulkAction, BulkFilter, BulkState, MOST_COUNTED};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;

use super::confirm::{ACTOR, Question, ask, read_reason, reason_field};
use super::fields::{Mistakes, Typed, inputs};
use super::filter::{Filter, as_bulk, words};
use super::forms::FormBody;
use super::task::Act;
use crate::bulk::{count, list_acts, show_act, start, stop_act};
use crate::ui::prelude::*;

/// What can be done to many tasks, in the order in which it is offered.
pub(crate) const ACTIONS: [BulkAction; 3] =
    [BulkAction::Retry, BulkAction::Resolve, BulkAction::Cancel];

/// What it does to each task.
const fn act_of(action: BulkAction) -> Act {
    match action {
        BulkAction::Retry => Act::RetryTask,
        BulkAction::Resolve => Act::ResolveTask,
        BulkAction::Cancel => Act::CancelTask,
    }
}

/// What a button says that does it.
pub(crate) const fn action_name(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Cancel => "Cancel tasks",
        _ => act_of(action).text()[1],
    }
}

/// Tasks that were selected, and what to do to them.
#[derive(Debug, Deserialize)]
pub(crate) struct Selection {
    action: BulkAction,
    #[serde(default)]
    task: Vec<TaskUuid>,
}

/// What was confirmed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    action: BulkAction,
    /// A [`BulkFilter`] in JSON, so that what is done is what was counted.
    filter: String,
    /// How many were counted.
    #[serde(default)]
    of: i64,
    #[serde(default)]
    reason: String,
}

/// How many tasks an act was said to be about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    of: Option<i64>,
}

/// Counts all tasks that match and asks.
pub(crate) async fn confirm_matching(
    State(state): State<WebState>,
    mut filter: Filter,
) -> Result<Page, Problem> {
    let action = filter.take("action").unwrap_or_default();
    let action = BulkAction::read(&action).ok_or_else(|| {
        let mistake = format!("{action:?} is none of retry, resolve, cancel");
        Problem::mistake("action", mistake)
    })?;
    let back = filter.address(TASKS, &[]);
    let mut filter = as_bulk(filter.tasks(&state)?);
    // The database takes the same where none is given; the page is to say so.
    if action != BulkAction::Cancel {
        filter.state = filter.state.or(Some(TaskState::Error));
    }
    confirm(&state, action, &filter, &back).await
}

/// Counts the tasks that were selected and asks.
pub(crate) async fn confirm_selected(
    State(state): State<WebState>,
    FormBody(selection): FormBody<Selection>,
) -> Result<Page, Problem> {
    if selection.task.is_empty() {
        return Err(Problem::mistake("task", "no task is selected").hint("go back and select some"));
    }
    let filter = BulkFilter {
        tasks: Some(selection.task),
        ..BulkFilter::default()
    };
    confirm(&state, selection.action, &filter, TASKS).await
}

async fn confirm(
    state: &WebState,
    action: BulkAction,
    filter: &BulkFilter,
    back: &str,
) -> Result<Page, Problem> {
    let matches = count(state, action, filter).await?;
    let label = action_name(action);
    if matches == 0 {
        let content = html! {
            h1 { (label) }
            p.empty { "No tasks match: there is nothing to do." }
            p { a href=(back) data-cancel { "Go back" } }
        };
        return Ok(Page::still(TASKS, label, content));
    }
    let [_, _, effect] = act_of(action).text();
    let document = serde_json::to_string(filter).map_err(Problem::internal)?;
    let noun = if matches == 1 { "task" } else { "tasks" };
    Ok(ask(&Question {
        label,
        about: html! { (counted(matches, MOST_COUNTED)) " " (noun) },
        effect: html! {
            p { "It is done to " (words(filter)) "." }
            p { (effect) }
            p.note {
                "It is done in the background, in small batches, to tasks that were submitted before it. "
                "You can watch it and stop it; what was done stays done."
            }
        },
        is_grave: act_of(action).is_grave(),
        address: "/ui/bulk",
        back,
        fields: html! {
            input type="hidden" name="action" value=(action.as_str());
            input type="hidden" name="filter" value=(document);
            input type="hidden" name="of" value=(matches);
            (inputs(&[reason_field()], &Typed::new(), &Mistakes::new()))
        },
    }))
}

/// Starts what was confirmed and leads to the page that follows it.
pub(crate) async fn begin(
    State(state): State<WebState>,
    FormBody(confirmed): FormBody<Confirmed>,
) -> Result<Redirect, Problem> {
    let filter: BulkFilter = serde_json::from_str(&confirmed.filter)
        .map_err(|error| Problem::mistake("filter", error.to_string()))?;
    let reason = read_reason(&confirmed.reason)?;
    let act = start(&state, confirmed.action, &filter, ACTOR, reason).await?;
    let of = confirmed.of;
    Ok(Redirect::to(&format!("/ui/bulk/{}?of={of}", act.bulk_uuid)))
}

/// Stops an act and leads back to its page.
pub(crate) async fn stop(
    State(state): State<WebState>,
    PathParts(bulk_uuid): PathParts<String>,
) -> Result<Redirect, Problem> {
    let Json(act) = stop_act(State(state), PathParts(bulk_uuid), NoParams).await?;
    Ok(Redirect::to(&format!("/ui/bulk/{}", act.bulk_uuid)))
}

/// An act, how far it has come and what it came to.
pub(crate) async fn act(
    State(state): State<WebState>,
    PathParts(bulk_uuid): PathParts<String>,
    Params(progress): Params<Progress>,
) -> Result<Page, Problem> {
    let Json(act) = show_act(State(state), PathParts(bulk_uuid), NoParams).await?;
    let is_running = act.state == BulkState::Running;
    let turns = act.done + act.refused + act.held;
    let name = action_name(act.action);
    let list = Filter::of_act(&act.filter).address(TASKS, &[]);
    let figures = [
        (act.done, "done"),
        (act.refused, "refused: they had moved on"),
        (
            act.held,
            "not changed: held elsewhere, or their queue is in trouble",
        ),
    ];
    let content = html! {
        h1 { (name) " " (state_of(&act)) }
        @if let Some(of) = progress.of.filter(|of| is_running && *of > 0) {
            p {
                progress value=(turns) max=(of.max(turns)) aria-label="Tasks that had their turn" {}
                " " (number(turns)) " of " (number(of.max(turns)))
            }
        }
        ul.figures { @for (tasks, what) in figures { li.figure { b { (number(tasks)) } span { (what) } } } }
        @if let Some(problem) = &act.problem {
            p.problem.mild { "One that was not changed: " (foreign(problem)) }
        }
        (facts([
            ("To", html! {
                (words(&act.filter))
                @if act.filter.tasks.is_none() { " · " a href=(list) { "those that match now" } }
            }),
            ("Reason", foreign_if_any(act.reason.as_ref())),
            ("Started", html! { (moment(act.created_at)) " by " (foreign(&act.actor)) }),
            ("Ended", moment_if_any(act.ended_at)),
        ]))
        div.actions {
            @if is_running {
                form method="post" action=(format!("/ui/bulk/{}/stop", act.bulk_uuid)) {
                    button.danger { "Stop it here" }
                }
            }
            a href="/ui/bulk" { "All bulk acts" }
        }
    };
    // What ended stays as it is.
    let page = if is_running { Page::live } else { Page::still };
    Ok(page(TASKS, name, content))
}

fn state_of(act: &BulkAct) -> Markup {
    state(match act.state {
        BulkState::Running => "running",
        BulkState::Finished => "finished",
        BulkState::Stopped => "stopped",
    })
}

/// The latest acts.
pub(crate) async fn acts(State(state): State<WebState>, _: NoParams) -> Result<Page, Problem> {
    let Json(listed) = list_acts(State(state), NoParams).await?;
    let how =
        html! { p { a href=(TASKS) { "Select tasks" } ", or act on all that match a filter." } };
    let content = html! {
        h1 { "Bulk acts" }
        @if listed.acts.is_empty() {
            (empty("Nothing was done to many tasks at once.", &how))
        } @else {
            (table("Bulk acts",
                ["Action", "State", "To", "Started", "By", "Reason", "# Done", "# Refused", "# Held"],
                listed.acts.iter().map(row)))
        }
    };
    Ok(Page::live(TASKS, "Bulk acts", content))
}

fn row(act: &BulkAct) -> (String, [Markup; 9]) {
    let cells = [
        html! { a href=(format!("/ui/bulk/{}", act.bulk_uuid)) { (action_name(act.action)) } },
        state_of(act),
        html! { div.text { (words(&act.filter)) } },
        moment(act.created_at),
        foreign(&act.actor),
        foreign_if_any(act.reason.as_ref()),
        html! { (number(act.done)) },
        html! { (number(act.refused)) },
        html! { (number(act.held)) },
    ];
    (format!("act-{}", act.bulk_uuid), cells)
}
