//! What is done to many tasks at once: counted and confirmed, started, and followed to its end.

use axum::Json;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::bulk::{BulkAct, BulkAction, BulkFilter, BulkState, MOST_COUNTED};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;

use super::filter::{Filter, as_bulk, words};
use super::forms::FormBody;
use super::frame::{Live, Page, Section};
use super::{parts, tasks};
use crate::bulk::{count, list_acts, show_act, start, stop_act};
use crate::extract::{NoParams, Params, PathParts};
use crate::operate::check_reason;
use crate::problem::Problem;
use crate::state::WebState;

/// What can be done to many tasks, in the order in which it is offered.
pub(crate) const ACTIONS: [BulkAction; 3] =
    [BulkAction::Retry, BulkAction::Resolve, BulkAction::Cancel];

/// Who the history says started an act here.
const ACTOR: &str = "operator:ui";

/// What a button says that does it.
pub(crate) const fn action_name(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "Retry failed steps",
        BulkAction::Resolve => "Mark as resolved",
        BulkAction::Cancel => "Cancel tasks",
    }
}

/// What it does to each task, in words.
const fn effect(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "The failed steps of each task run again with fresh attempts.",
        BulkAction::Resolve => "Each failed task counts as dealt with elsewhere. Nothing runs.",
        BulkAction::Cancel => {
            "What has not started never starts; handlers that run are told to stop. It cannot be undone."
        }
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
) -> Result<Page<'static>, Problem> {
    let action = filter.take("action").unwrap_or_default();
    let action = BulkAction::read(&action).ok_or_else(|| no_action(&action))?;
    let back = filter.address(tasks::PATH, &[]);
    let mut filter = as_bulk(filter.tasks(&state)?);
    // The database takes the same where none is given; the page is to say so.
    if action != BulkAction::Cancel {
        filter.state = filter.state.or(Some(TaskState::Error));
    }
    confirm(&state, action, &filter, &back).await
}

fn no_action(text: &str) -> Problem {
    Problem::mistake(
        "action",
        format!("{text:?} is none of retry, resolve, cancel"),
    )
}

/// Counts the tasks that were selected and asks.
pub(crate) async fn confirm_selected(
    State(state): State<WebState>,
    FormBody(selection): FormBody<Selection>,
) -> Result<Page<'static>, Problem> {
    if selection.task.is_empty() {
        return Err(Problem::mistake("task", "no task is selected").hint("go back and select some"));
    }
    let filter = BulkFilter {
        tasks: Some(selection.task),
        ..BulkFilter::default()
    };
    confirm(&state, selection.action, &filter, tasks::PATH).await
}

async fn confirm(
    state: &WebState,
    action: BulkAction,
    filter: &BulkFilter,
    back: &str,
) -> Result<Page<'static>, Problem> {
    let matches = count(state, action, filter).await?;
    let name = action_name(action);
    let document = serde_json::to_string(filter).map_err(Problem::internal)?;
    Ok(Page {
        title: name,
        section: Section::Tasks,
        live: Live::No,
        content: html! {
            h1 { (name) ": " (tasks_counted(matches)) }
            p { "It is done to " (words(filter)) "." }
            @if matches == 0 {
                p.empty { "No tasks match: there is nothing to do." }
                p { a href=(back) data-cancel { "Go back" } }
            } @else {
                p { (effect(action)) }
                p.note {
                    "It is done in the background, in small batches, to tasks that were submitted before it. "
                    "You can watch it and stop it; what was done stays done."
                }
                form method="post" action="/ui/bulk" {
                    input type="hidden" name="action" value=(action.as_str());
                    input type="hidden" name="filter" value=(document);
                    input type="hidden" name="of" value=(matches);
                    div.field {
                        label for="reason" { "Reason" }
                        input #reason name="reason" maxlength="2000" placeholder="kept in the history of each task";
                    }
                    div.actions {
                        button class=(if action == BulkAction::Cancel { "danger" } else { "primary" }) {
                            (name) ": " (tasks_counted(matches))
                        }
                        a href=(back) data-cancel { "Go back" }
                    }
                }
            }
        },
    })
}

/// `1 task`, `12 tasks`, `100 000 tasks or more`.
fn tasks_counted(matches: i64) -> String {
    let more = if matches == MOST_COUNTED {
        " or more"
    } else {
        ""
    };
    let noun = if matches == 1 { "task" } else { "tasks" };
    format!("{} {noun}{more}", parts::number(matches))
}

/// Starts what was confirmed and leads to the page that follows it.
pub(crate) async fn begin(
    State(state): State<WebState>,
    FormBody(confirmed): FormBody<Confirmed>,
) -> Result<Redirect, Problem> {
    let filter: BulkFilter = serde_json::from_str(&confirmed.filter)
        .map_err(|error| Problem::mistake("filter", error.to_string()))?;
    let reason = Some(confirmed.reason.trim()).filter(|reason| !reason.is_empty());
    check_reason(reason)?;
    let act = start(&state, confirmed.action, &filter, ACTOR, reason).await?;
    Ok(Redirect::to(&format!(
        "/ui/bulk/{}?of={}",
        act.bulk_uuid, confirmed.of
    )))
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
) -> Result<Page<'static>, Problem> {
    let Json(act) = show_act(State(state), PathParts(bulk_uuid), NoParams).await?;
    let is_running = act.state == BulkState::Running;
    let turns = act.done + act.refused + act.held;
    Ok(Page {
        title: action_name(act.action),
        section: Section::Tasks,
        live: if is_running {
            Live::Everything
        } else {
            Live::No
        },
        content: html! {
            h1 { (action_name(act.action)) " " (parts::act_state(act.state)) }
            @if let Some(of) = progress.of.filter(|of| is_running && *of > 0) {
                p {
                    progress value=(turns) max=(of.max(turns)) aria-label="Tasks that had their turn" {}
                    " " (parts::number(turns)) " of " (parts::number(of.max(turns)))
                }
            }
            ul.figures {
                (figure(act.done, "done"))
                (figure(act.refused, "refused: they had moved on"))
                (figure(act.held, "not changed: held elsewhere, or their queue is in trouble"))
            }
            @if let Some(problem) = &act.problem {
                p.problem.mild { "One that was not changed: " (parts::foreign(problem)) }
            }
            (facts(&act))
            div.actions {
                @if is_running {
                    form method="post" action=(format!("/ui/bulk/{}/stop", act.bulk_uuid)) {
                        button.danger { "Stop it here" }
                    }
                }
                a href="/ui/bulk" { "All bulk acts" }
            }
        },
    })
}

fn figure(tasks: i64, what: &str) -> Markup {
    html! { li.figure { b { (parts::number(tasks)) } span { (what) } } }
}

fn facts(act: &BulkAct) -> Markup {
    let list = Filter::of_act(&act.filter).address(tasks::PATH, &[]);
    html! {
        dl.facts {
            dt { "To" }
            dd {
                (words(&act.filter))
                @if act.filter.tasks.is_none() { " · " a href=(list) { "those that match now" } }
            }
            dt { "Reason" } dd { @match &act.reason { Some(reason) => (parts::foreign(reason)), None => (parts::dash()) } }
            dt { "Started" } dd { (parts::moment(act.created_at)) " by " (parts::foreign(&act.actor)) }
            dt { "Ended" } dd { (parts::moment_or_dash(act.ended_at)) }
        }
    }
}

/// The latest acts.
pub(crate) async fn acts(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Page<'static>, Problem> {
    let Json(listed) = list_acts(State(state), NoParams).await?;
    let how = html! { p { a href=(tasks::PATH) { "Select tasks" } ", or act on all that match a filter." } };
    Ok(Page {
        title: "Bulk acts",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! {
            h1 { "Bulk acts" }
            @if listed.acts.is_empty() {
                (parts::empty("Nothing was done to many tasks at once.", &how))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Bulk acts" {
                    table {
                        thead { tr {
                            th scope="col" { "Action" } th scope="col" { "State" } th scope="col" { "To" }
                            th scope="col" { "Started" } th scope="col" { "By" } th scope="col" { "Reason" }
                            th.number scope="col" { "Done" } th.number scope="col" { "Refused" } th.number scope="col" { "Held" }
                        } }
                        tbody { @for act in &listed.acts { (row(act)) } }
                    }
                }
            }
        },
    })
}

fn row(act: &BulkAct) -> Markup {
    html! {
        tr data-row id=(format!("act-{}", act.bulk_uuid)) {
            td { a href=(format!("/ui/bulk/{}", act.bulk_uuid)) { (action_name(act.action)) } }
            td { (parts::act_state(act.state)) }
            td.says { (words(&act.filter)) }
            td { (parts::moment(act.created_at)) }
            td { (parts::foreign(&act.actor)) }
            td.says { @match &act.reason { Some(reason) => (parts::foreign(reason)), None => (parts::dash()) } }
            @for tasks in [act.done, act.refused, act.held] { td.number { (parts::number(tasks)) } }
        }
    }
}
