//! Finds what the search field names: a task, a key, a template.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NamedTask, TaskFilter, find_tasks, list_tasks, task_is_terminal};
use tasker_shared::templates::list_templates;

use super::filter::Filter;
use super::{parts, tasks};
use crate::extract::Params;
use crate::problem::Problem;
use crate::state::WebState;

/// Tasks of which a search shows the links.
const MOST_SHOWN: i32 = 20;

/// Most characters of what is looked for.
const MOST_CHARACTERS: usize = 1000;

/// What to look for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchParams {
    #[serde(default)]
    q: String,
}

/// What was found.
enum Found {
    Page(String),
    Tasks(Vec<TaskUuid>),
    Nothing,
}

/// Leads to what is called so; to all tasks, with a note, where nothing is or more than one thing.
pub(crate) async fn search(
    State(state): State<WebState>,
    Params(params): Params<SearchParams>,
) -> Result<Response, Problem> {
    let sought: String = params.q.trim().chars().take(MOST_CHARACTERS).collect();
    if sought.is_empty() {
        return Ok(Redirect::to(tasks::PATH).into_response());
    }
    let note = match find(&state, &sought).await? {
        Found::Page(address) => return Ok(Redirect::to(&address).into_response()),
        Found::Tasks(found) => several(&sought, &found),
        Found::Nothing => nothing(&sought),
    };
    let filter = Filter::default();
    let listed = tasks::list(&state, &filter).await?;
    Ok(tasks::page(&filter, &listed, Some(note)).into_response())
}

async fn find(state: &WebState, sought: &str) -> Result<Found, Problem> {
    let named = find_by_uuid(state, sought).await?;
    if !matches!(named, Found::Nothing) {
        return Ok(named);
    }
    let by_key = TaskFilter {
        key: Some(sought.to_owned()),
        limit: 2,
        ..TaskFilter::default()
    };
    let found = state
        .database
        .call("search", async |connection| {
            let keyed = list_tasks(connection, &by_key).await?;
            Ok((keyed, list_templates(connection, None).await?))
        })
        .await?;
    let (keyed, templates) = found;
    if let [task] = keyed.as_slice() {
        return Ok(Found::Page(parts::task_address(task.summary.task_uuid)));
    }
    if !keyed.is_empty() {
        let address = format!("{}?key={}", tasks::PATH, parts::in_query(sought));
        return Ok(Found::Page(address));
    }
    // A name may be one of several namespaces; all versions of a template have one page.
    let mut named = templates.iter().filter(|template| {
        template.name == sought || format!("{}/{}", template.namespace, template.name) == sought
    });
    let Some(first) = named.next() else {
        return Ok(Found::Nothing);
    };
    let (namespace, name) = (&first.namespace, &first.name);
    Ok(Found::Page(
        if named.all(|one| one.namespace == *namespace) {
            format!("/ui/templates/{namespace}/{name}")
        } else {
            format!("{}?name={name}", tasks::PATH)
        },
    ))
}

/// A task, by its UUID or a part of it.
async fn find_by_uuid(state: &WebState, sought: &str) -> Result<Found, Problem> {
    let named = sought.parse::<NamedTask>().ok();
    let found = match named {
        None => return Ok(Found::Nothing),
        Some(NamedTask::Whole(task_uuid)) => {
            state
                .database
                .call("task_is_terminal", async |connection| {
                    let known = task_is_terminal(connection, task_uuid).await?;
                    Ok(known.map(|_| task_uuid).into_iter().collect::<Vec<_>>())
                })
                .await?
        }
        Some(NamedTask::Part(digits)) => {
            state
                .database
                .call("find_tasks", async |connection| {
                    find_tasks(connection, &digits, MOST_SHOWN).await
                })
                .await?
        }
    };
    Ok(match found.as_slice() {
        [] => Found::Nothing,
        [task_uuid] => Found::Page(parts::task_address(*task_uuid)),
        _ => Found::Tasks(found),
    })
}

fn several(sought: &str, found: &[TaskUuid]) -> Markup {
    html! {
        div.panel {
            p { "More than one task has “" (parts::foreign(sought)) "” in its UUID:" }
            ul { @for task in found { li { a.uuid href=(parts::task_address(*task)) { (task) } } } }
        }
    }
}

fn nothing(sought: &str) -> Markup {
    let errors = format!("{}?error={}", tasks::PATH, parts::in_query(sought));
    html! {
        div.problem.mild role="status" {
            p { "Nothing is called “" (parts::foreign(sought)) "”." }
            p {
                "The search takes the UUID of a task or at least 4 digits of it, an idempotency key, or the name of a template. "
                a href=(errors) { "Look for tasks whose error says it" }
            }
        }
    }
}
