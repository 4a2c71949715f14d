//! Tasks, listed: filtered by the address, a page at a time, to be selected and acted on.

use chrono::{DateTime, Utc};
use tasker_shared::bulk::BulkAction;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{ListedTask, WaitsFor};

use super::bulk::{ACTIONS, action_name};
use super::filter::{AFTER, CURSOR, FIELDS, Filter};
use crate::cursor;
use crate::tasks::read_page;
use crate::ui::prelude::*;

/// Fields that are always shown; the rest is used less.
const SHOWN_FIELDS: usize = 5;

/// Characters of an error that a row shows.
const MOST_ERROR: usize = 160;

pub(crate) async fn tasks(State(state): State<WebState>, filter: Filter) -> Result<Page, Problem> {
    page(&state, &filter, &Markup::default()).await
}

/// The page; a note stands before what it lists.
pub(crate) async fn page(
    state: &WebState,
    filter: &Filter,
    note: &Markup,
) -> Result<Page, Problem> {
    let mut wanted = filter.tasks(state)?;
    let (mut tasks, mut has_more) = read_page(state, &wanted).await?;
    if wanted.after.is_some() && !has_more {
        // Less than a page is left before the one that is left: this is the first.
        wanted.after = None;
        (tasks, has_more) = read_page(state, &wanted).await?;
    }
    let is_before = wanted.after.is_some();
    let content = html! {
        h1 { "Tasks" }
        (note)
        (states(filter))
        (form(filter))
        @if tasks.is_empty() {
            (nothing(filter))
        } @else {
            (acts_on_all(filter))
            (list(&tasks))
            nav.pages aria-label="Pages" {
                @if is_before || wanted.before.is_some() {
                    a href=(filter.address(TASKS, &[])) { "Latest" }
                    a rel="prev" href=(beyond(filter, AFTER, tasks.first())) { "Newer" }
                }
                @if is_before || has_more { a rel="next" href=(beyond(filter, CURSOR, tasks.last())) { "Older" } }
            }
        }
    };
    Ok(Page::live(TASKS, "Tasks", content))
}

/// The page that ends, or begins, at this task.
fn beyond(filter: &Filter, place: &str, task: Option<&ListedTask>) -> String {
    let cursor = task.map(|task| cursor::after(task.summary.task_uuid));
    filter.address(TASKS, &[(place, &cursor.unwrap_or_default())])
}

/// One link for each state, which keeps the rest of the filter.
fn states(filter: &Filter) -> Markup {
    let states = TaskState::ALL.iter().map(|state| state.as_str());
    html! {
        nav.tabs aria-label="State" {
            @for state in [""].into_iter().chain(states) {
                a href=(filter.address(TASKS, &[("state", state)])) aria-current=[(filter.get("state") == state).then_some("page")] {
                    @if state.is_empty() { "All" } @else { (in_words(state)) }
                }
            }
        }
    }
}

fn form(filter: &Filter) -> Markup {
    let (shown, further) = FIELDS.split_at(SHOWN_FIELDS);
    let is_used = |(name, ..): &(&str, &str, &str)| !filter.get(name).is_empty();
    let inputs = |fields: &[(&str, &str, &str)]| {
        html! {
            @for (name, label, example) in fields {
                label { (label) input name=(name) value=(filter.get(name)) placeholder=(example); }
            }
        }
    };
    html! {
        form.filters action=(TASKS) {
            @for kept in ["state", "limit"].iter().filter(|name| !filter.get(name).is_empty()) {
                input type="hidden" name=(kept) value=(filter.get(kept));
            }
            (inputs(shown))
            details open[further.iter().any(is_used)] {
                summary { "More" }
                div.filters { (inputs(further)) }
            }
            button { "Filter" }
            @if !filter.is_open() { a href=(TASKS) { "Drop the filter" } }
        }
    }
}

fn nothing(filter: &Filter) -> Markup {
    if filter.is_further() {
        let first = html! { p { a href=(filter.address(TASKS, &[])) { "Go to the first page" } } };
        return empty("This page is beyond the last task.", &first);
    }
    if !filter.is_open() {
        return empty("No tasks match.", &Markup::default());
    }
    let how = html! {
        p { "Submit the first one from " a href=(TEMPLATES) { "a template" } ", or on the command line:" }
        pre { "tasker task submit NAMESPACE/NAME --context '{}'" }
    };
    empty("There are no tasks yet.", &how)
}

/// What can be done to all that match, which leads to their count first.
fn acts_on_all(filter: &Filter) -> Markup {
    use BulkAction::{Cancel, Resolve, Retry};
    let state: Option<TaskState> = filter.get("state").parse().ok();
    let fitting: &[_] = match state {
        None => &[Retry, Resolve],
        Some(TaskState::Pending) => &[Cancel],
        Some(TaskState::InProgress) => &[Retry, Cancel],
        Some(TaskState::Error) => &ACTIONS,
        Some(_) => &[],
    };
    let which = if state.is_some() {
        "All that match:"
    } else {
        "All that match and failed:"
    };
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

fn list(tasks: &[ListedTask]) -> Markup {
    let now = Utc::now();
    html! {
        form #tasks method="post" action="/ui/bulk/new" autocomplete="off" {
            label.all { input type="checkbox" data-all; " Select all on this page" }
            div #selected.actions.selected data-selected {
                span { "Selected: " b data-selected-count {} }
                @for action in ACTIONS {
                    button name="action" value=(action.as_str()) { (action_name(action)) "…" }
                }
            }
            (table("Tasks",
                ["Task", "State", "Problem", "Template", "Submitted", "# Duration"],
                tasks.iter().map(|task| row(task, now))))
        }
    }
}

fn row(task: &ListedTask, now: DateTime<Utc>) -> (String, [Markup; 6]) {
    let summary = &task.summary;
    let (task_uuid, template) = (
        summary.task_uuid,
        template_address(&summary.namespace, &summary.name),
    );
    let took = between(summary.created_at, summary.finished_at.unwrap_or(now));
    let cells = [
        html! {
            input type="checkbox" name="task" value=(task_uuid) aria-label=(format!("Select {}", task_uuid.short()));
            " " (task_link(task_uuid))
        },
        state(summary.state.as_str()),
        trouble(task),
        html! {
            a href={ (template) "/" (summary.version) } { (summary.namespace) "/" (summary.name) }
            span.note { "@" (summary.version) }
        },
        moment(summary.created_at),
        html! { (took) },
    ];
    (format!("task-{task_uuid}"), cells)
}

/// Which step failed and why, or what the task waits for in vain.
fn trouble(task: &ListedTask) -> Markup {
    if let Some(step) = &task.failed_step {
        let message = step.message.as_ref().filter(|text| !text.is_empty());
        let says = message.or(step.kind.as_ref()).map_or("", String::as_str);
        return html! { div.text { b { (step.name) } ": " bdi title=(says) { (shortened(says, MOST_ERROR)) } } };
    }
    match task.summary.waits_for {
        Some(WaitsFor::WorkerForHandler) => html! { "no worker knows its handler" },
        None => Markup::default(),
    }
}
