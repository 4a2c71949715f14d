//! Tasks, listed: filtered by the address, a page at a time, to be selected and acted on.

use axum::extract::State;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use tasker_shared::bulk::BulkAction;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{ListedTask, WaitsFor};

use super::bulk::{ACTIONS, action_name};
use super::filter::{AFTER, CURSOR, Filter, WHERE};
use super::frame::{Live, Page, Section};
use super::parts;
use crate::cursor;
use crate::problem::Problem;
use crate::state::WebState;
use crate::tasks::read_page;

/// Where the list is.
pub(crate) const PATH: &str = "/ui/tasks";

/// Filters that are always shown, and those that are used less: parameter, label and an example.
const FILTERS: [(&str, &str, &str); 4] = [
    ("namespace", "Namespace", "any"),
    ("name", "Template", "any"),
    ("since", "Submitted since", "2h, 3d or a date"),
    ("until", "Submitted before", "1h or a date"),
];
const FURTHER_FILTERS: [(&str, &str, &str); 4] = [
    ("version", "Version", "1.0.0"),
    ("key", "Idempotency key", "order-1"),
    ("step", "Failed step", "charge"),
    ("error", "Error says", "card refused"),
];

/// Characters of an error that a row shows.
const MOST_ERROR: usize = 160;

/// What a page shows, and whether there are tasks on both sides of it.
pub(crate) struct Listed {
    tasks: Vec<ListedTask>,
    has_newer: bool,
    has_older: bool,
}

pub(crate) async fn tasks(
    State(state): State<WebState>,
    filter: Filter,
) -> Result<Page<'static>, Problem> {
    let listed = list(&state, &filter).await?;
    Ok(page(&filter, &listed, None))
}

/// Reads the tasks of a page. Where less than a page is left before the one that is left, it is the first.
pub(crate) async fn list(state: &WebState, filter: &Filter) -> Result<Listed, Problem> {
    let mut wanted = filter.tasks(state)?;
    if wanted.after.is_some() {
        let (tasks, has_newer) = read_page(state, &wanted).await?;
        if has_newer {
            let has_older = true;
            return Ok(Listed {
                tasks,
                has_newer,
                has_older,
            });
        }
        wanted.after = None;
    }
    let (tasks, has_older) = read_page(state, &wanted).await?;
    let has_newer = wanted.before.is_some();
    Ok(Listed {
        tasks,
        has_newer,
        has_older,
    })
}

/// The page; a note stands before what it lists.
pub(crate) fn page(filter: &Filter, listed: &Listed, note: Option<Markup>) -> Page<'static> {
    Page {
        title: "Tasks",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! {
            h1 { "Tasks" }
            @if let Some(note) = note { (note) }
            (states(filter))
            (form(filter))
            @if listed.tasks.is_empty() {
                (nothing(filter))
            } @else {
                (acts_on_all(filter))
                (table(&listed.tasks))
                (pages(filter, listed))
            }
        },
    }
}

/// One link for each state, which keeps the rest of the filter.
fn states(filter: &Filter) -> Markup {
    let is_shown = |state: &str| (filter.get("state") == state).then_some("page");
    html! {
        nav.tabs aria-label="State" {
            a href=(filter.address(PATH, &[("state", "")])) aria-current=[is_shown("")] { "All" }
            @for state in TaskState::ALL {
                a href=(filter.address(PATH, &[("state", state.as_str())])) aria-current=[is_shown(state.as_str())] {
                    (parts::in_words(state.as_str()))
                }
            }
        }
    }
}

fn form(filter: &Filter) -> Markup {
    let field = |(name, label, example): &(&str, &str, &str)| {
        html! {
            label { (label) input name=(name) value=(filter.get(name)) placeholder=(example); }
        }
    };
    let is_used = |(name, _, _): &(&str, &str, &str)| !filter.get(name).is_empty();
    html! {
        form.filters action=(PATH) {
            @for kept in ["state", "limit"].iter().filter(|name| !filter.get(name).is_empty()) {
                input type="hidden" name=(kept) value=(filter.get(kept));
            }
            @for one in &FILTERS { (field(one)) }
            label { "Search values" input name=(WHERE) value=(filter.conditions()) placeholder="order_id=42 amount>=10"; }
            details.further open[FURTHER_FILTERS.iter().any(is_used)] {
                summary { "More" }
                div.filters { @for one in &FURTHER_FILTERS { (field(one)) } }
            }
            button { "Filter" }
            @if !filter.is_open() { a href=(PATH) { "Drop the filter" } }
        }
    }
}

fn nothing(filter: &Filter) -> Markup {
    if filter.is_further() {
        let first = html! { p { a href=(filter.address(PATH, &[])) { "Go to the first page" } } };
        return parts::empty("This page is beyond the last task.", &first);
    }
    if !filter.is_open() {
        return parts::empty(
            "No tasks match.",
            &html! { p { a href=(PATH) { "Drop the filter" } } },
        );
    }
    let how = html! {
        p { "Submit the first one from " a href="/ui/templates" { "a template" } ", or on the command line:" }
        pre { "tasker task submit NAMESPACE/NAME --context '{}'" }
    };
    parts::empty("There are no tasks yet.", &how)
}

/// What can be done to all that match, which leads to their count first.
fn acts_on_all(filter: &Filter) -> Markup {
    let state: Option<TaskState> = filter.get("state").parse().ok();
    let fits = |action: &&BulkAction| match action {
        BulkAction::Retry => matches!(state, None | Some(TaskState::Error | TaskState::InProgress)),
        BulkAction::Resolve => matches!(state, None | Some(TaskState::Error)),
        BulkAction::Cancel => state.is_some_and(|state| {
            matches!(
                state,
                TaskState::Pending | TaskState::InProgress | TaskState::Error
            )
        }),
    };
    let which = if state.is_some() {
        "All that match:"
    } else {
        "All that match and failed:"
    };
    let fitting: Vec<_> = ACTIONS.iter().filter(fits).collect();
    html! {
        div.actions {
            @if !fitting.is_empty() { span.note { (which) } }
            @for action in fitting {
                a.button data-dialog href=(filter.address("/ui/bulk/new", &[("action", action.as_str())])) {
                    (action_name(*action)) "…"
                }
            }
            a.away href="/ui/bulk" { "Bulk acts" }
        }
    }
}

fn table(tasks: &[ListedTask]) -> Markup {
    let now = Utc::now();
    html! {
        form #tasks method="post" action="/ui/bulk/new" autocomplete="off" {
            div #selected.actions.selected data-selected {
                span { "Selected: " b data-selected-count {} }
                @for action in ACTIONS {
                    button name="action" value=(action.as_str()) { (action_name(action)) "…" }
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Tasks" {
                table {
                    thead { tr {
                        th scope="col" { input type="checkbox" data-all aria-label="Select all on this page"; }
                        th scope="col" { "Task" }
                        th scope="col" { "State" }
                        th scope="col" { "Template" }
                        th scope="col" { "Submitted" }
                        th.number scope="col" { "Duration" }
                        th scope="col" { "Problem" }
                    } }
                    tbody { @for task in tasks { (row(task, now)) } }
                }
            }
        }
    }
}

fn row(task: &ListedTask, now: DateTime<Utc>) -> Markup {
    let summary = &task.summary;
    let short = summary.task_uuid.short();
    let (namespace, name, version) = (&summary.namespace, &summary.name, &summary.version);
    html! {
        tr data-row id=(format!("task-{}", summary.task_uuid)) {
            td { input type="checkbox" name="task" value=(summary.task_uuid) aria-label=(format!("Select {short}")); }
            td { (parts::task_link(summary.task_uuid)) }
            td { (parts::task_state(summary.state)) }
            td {
                a href=(format!("/ui/templates/{namespace}/{name}/{version}")) { (namespace) "/" (name) }
                span.note { "@" (version) }
            }
            td { (parts::moment(summary.created_at)) }
            td.number { (parts::between(summary.created_at, summary.finished_at.unwrap_or(now))) }
            td.says { (trouble(task)) }
        }
    }
}

/// Which step failed and why, or what the task waits for in vain.
fn trouble(task: &ListedTask) -> Markup {
    if let Some(step) = &task.failed_step {
        let message = step.message.as_deref().filter(|text| !text.is_empty());
        let says = message.or(step.kind.as_deref()).unwrap_or_default();
        let short: String = says.chars().take(MOST_ERROR).collect();
        let dots = if short.len() < says.len() { "…" } else { "" };
        return html! { b { (step.name) } ": " bdi title=(says) { (short) (dots) } };
    }
    match task.summary.waits_for {
        Some(WaitsFor::WorkerForHandler) => html! { "no worker knows its handler" },
        None => parts::dash(),
    }
}

fn pages(filter: &Filter, listed: &Listed) -> Markup {
    let [first, last] = [listed.tasks.first(), listed.tasks.last()].map(|task| {
        task.map(|task| cursor::after(task.summary.task_uuid))
            .unwrap_or_default()
    });
    html! {
        nav.pages aria-label="Pages" {
            @if listed.has_newer {
                a href=(filter.address(PATH, &[])) { "Latest" }
                a rel="prev" href=(filter.address(PATH, &[(AFTER, &first)])) { "Newer" }
            }
            @if listed.has_older {
                a rel="next" href=(filter.address(PATH, &[(CURSOR, &last)])) { "Older" }
            }
        }
    }
}
