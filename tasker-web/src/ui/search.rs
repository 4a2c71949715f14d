//! Finds what the search field names: a task, a key, a template.

use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NamedTask, TaskFilter, find_tasks, list_tasks, task_is_terminal};
use tasker_shared::templates::list_templates;

use super::filter::Filter;
use super::tasks;
use crate::ui::prelude::*;

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

/// Leads to what is called so; to all tasks, with a note, where nothing is or more than one thing.
pub(crate) async fn search(
    State(state): State<WebState>,
    Params(params): Params<SearchParams>,
) -> Result<Response, Problem> {
    let sought: String = params.q.trim().chars().take(MOST_CHARACTERS).collect();
    if sought.is_empty() {
        return Ok(Redirect::to(TASKS).into_response());
    }
    let note = match by_uuid(&state, &sought).await?.as_slice() {
        [] => match by_name(&state, &sought).await? {
            Some(address) => return Ok(Redirect::to(&address).into_response()),
            None => nothing(&sought),
        },
        [task_uuid] => return Ok(Redirect::to(&task_address(*task_uuid)).into_response()),
        several => several_tasks(&sought, several),
    };
    let page = tasks::page(&state, &Filter::default(), &note).await?;
    Ok(page.into_response())
}

/// The tasks with this UUID, or with this part of it.
async fn by_uuid(state: &WebState, sought: &str) -> Result<Vec<TaskUuid>, Problem> {
    let Ok(named) = sought.parse::<NamedTask>() else {
        return Ok(Vec::new());
    };
    let call = state
        .database
        .call("find_tasks", async |connection| match &named {
            NamedTask::Whole(task_uuid) => {
                let known = task_is_terminal(connection, *task_uuid).await?;
                Ok(known.map(|_| *task_uuid).into_iter().collect())
            }
            NamedTask::Part(digits) => find_tasks(connection, digits, MOST_SHOWN).await,
        });
    Ok(call.await?)
}

/// The page of what has this key or this name: of the task or template, or a list where there are more.
async fn by_name(state: &WebState, sought: &str) -> Result<Option<String>, Problem> {
    let by_key = TaskFilter {
        key: Some(sought.to_owned()),
        limit: 2,
        ..TaskFilter::default()
    };
    let call = state.database.call("search", async |connection| {
        let keyed = list_tasks(connection, &by_key).await?;
        Ok((keyed, list_templates(connection, None).await?))
    });
    let (keyed, templates) = call.await?;
    match keyed.as_slice() {
        [] => {}
        [task] => return Ok(Some(task_address(task.summary.task_uuid))),
        _ => return Ok(Some(address(TASKS, &[("key", sought)]))),
    }
    // A name may be one of several namespaces; all versions of a template have one page.
    let mut named = templates.iter().filter(|template| {
        template.name == sought || format!("{}/{}", template.namespace, template.name) == sought
    });
    Ok(named.next().map(|first| {
        if named.all(|one| one.namespace == first.namespace) {
            template_address(&first.namespace, &first.name)
        } else {
            address(TASKS, &[("name", &first.name)])
        }
    }))
}

fn several_tasks(sought: &str, found: &[TaskUuid]) -> Markup {
    html! {
        div.panel {
            p { "More than one task has “" (foreign(sought)) "” in its UUID:" }
            ul { @for task in found { li { a.uuid href=(task_address(*task)) { (task) } } } }
        }
    }
}

fn nothing(sought: &str) -> Markup {
    html! {
        div.problem.mild role="status" {
            p { "Nothing is called “" (foreign(sought)) "”." }
            p {
                "The search takes the UUID of a task or at least 4 digits of it, an idempotency key, or the name of a template. "
                a href=(address(TASKS, &[("error", sought)])) { "Look for tasks whose error says it" }
            }
        }
    }
}
