//! A task: what it waits for, its graph, its steps, and what became of it.

mod act;
mod fold;
pub(crate) mod graph;
mod history;
mod layout;
mod step;
mod steps;
mod timeline;
mod why;

use std::fmt::Write;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::StepState;
use tasker_shared::tasks::{
    Move, StepInDetail, StepOutline, TaskOutline, latest_moves, outline_steps, outline_task,
    steps_in_detail,
};
use tasker_shared::why::{Why, why_of_some};

use crate::extract::{Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::tasks::{no_task, parse_task_uuid};
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{between, foreign, json, moment, moment_or_dash, task_address, task_state};

use graph::{Node, graph};
use steps::{StepParams, View};

/// Moves of all steps together that a page lists.
const MOST_MOVES: i32 = 50;

/// Moves of the steps of a timeline that it is drawn from.
const MOST_DRAWN_MOVES: i32 = 2000;

/// Steps whose reasons are asked for.
const MOST_REASONS: usize = 200;

/// Characters of an error in a list.
const ERROR_CHARACTERS: i32 = 300;

/// The pages of a task and of its steps.
pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/ui/tasks/{task_uuid}", get(task))
        .route("/ui/tasks/{task_uuid}/steps/{step_name}", get(step::step))
        .route(
            "/ui/tasks/{task_uuid}/act/{act}",
            get(act::confirm).post(act::act),
        )
        .route(
            "/ui/tasks/{task_uuid}/steps/{step_name}/act/{act}",
            get(act::confirm).post(act::act),
        )
}

/// All that the page shows.
struct Looked {
    task: TaskOutline,
    steps: Vec<StepOutline>,
    shown: Vec<StepInDetail>,
    moves_of_shown: Vec<Move>,
    moves: Vec<Move>,
    why: Why,
}

async fn task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    Params(params): Params<StepParams>,
) -> Result<Response, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let mut view = View::of(&params)?;
    let looked = state
        .database
        .call("task_page", async |connection| {
            look(connection, task_uuid, &mut view).await
        })
        .await?
        .ok_or_else(|| no_task(task_uuid))?;
    let page = Page {
        title: &format!("{} {}", looked.task.summary.name, task_uuid.short()),
        section: Section::Tasks,
        live: Live::Task(task_uuid),
        content: content(&looked, &view),
    };
    Ok(page.into_response())
}

async fn look(
    connection: &mut sqlx::PgConnection,
    task_uuid: TaskUuid,
    view: &mut View,
) -> Result<Option<Looked>, Error> {
    let Some(task) = outline_task(connection, task_uuid).await? else {
        return Ok(None);
    };
    let steps = outline_steps(connection, task_uuid).await?;
    let shown = view.select(&steps);
    Ok(Some(Looked {
        shown: steps_in_detail(connection, task_uuid, &shown, 0).await?,
        moves_of_shown: latest_moves(connection, task_uuid, Some(&shown), MOST_DRAWN_MOVES, 0)
            .await?,
        moves: latest_moves(connection, task_uuid, None, MOST_MOVES, ERROR_CHARACTERS).await?,
        why: why::for_pages(why_of_some(connection, task_uuid, None, MOST_REASONS).await?),
        task,
        steps,
    }))
}

fn content(looked: &Looked, view: &View) -> Markup {
    let Looked { task, steps, .. } = looked;
    let task_uuid = task.summary.task_uuid;
    let has_failed = steps.iter().any(|step| step.state == StepState::Error);
    let why = why::panel(&looked.why, task_uuid);
    let is_stuck = why::is_stuck(&looked.why);
    html! {
        (head(task))
        (act::links(&task_address(task_uuid), &act::for_task(task.summary.state, has_failed)))
        @if is_stuck { (why) }
        h2 { "Graph" }
        (graph(&nodes(task_uuid, steps)))
        @if !is_stuck { (why) }
        (timeline::timeline(task, &looked.shown, &looked.moves_of_shown))
        (steps::table(looked, view))
        (history::table(task_uuid, &looked.moves, MOST_MOVES))
        (context(task))
    }
}

fn nodes(task_uuid: TaskUuid, steps: &[StepOutline]) -> Vec<Node<'_>> {
    let nodes = steps.iter().map(|step| Node {
        name: &step.name,
        depends_on: step.depends_on.clone(),
        state: Some(step.state),
        attempt: step.attempt,
        href: step_address(task_uuid, &step.name),
    });
    nodes.collect()
}

fn head(task: &TaskOutline) -> Markup {
    let summary = &task.summary;
    let until = summary.finished_at.unwrap_or(task.now);
    let template = format!("/ui/templates/{}/{}", summary.namespace, summary.name);
    html! {
        h1 { (summary.name) " " span.uuid.soft { (summary.task_uuid.short()) } " " (task_state(summary.state)) }
        dl.facts.wide {
            dt { "Template" }
            dd { a href=(format!("{template}/{}", summary.version)) { (summary.namespace) "/" (summary.name) "@" (summary.version) } }
            dt { "Submitted" } dd { (moment(summary.created_at)) }
            dt { "Started" } dd { (moment_or_dash(summary.started_at)) }
            dt { "Ended" } dd { (moment_or_dash(summary.finished_at)) }
            dt { @if summary.finished_at.is_some() { "Took" } @else { "Running for" } }
            dd { (between(summary.started_at.unwrap_or(summary.created_at), until)) }
            @if summary.priority != 0 { dt { "Priority" } dd { (summary.priority) } }
            @if let Some(key) = &task.idempotency_key { dt { "Idempotency key" } dd { (foreign(key)) } }
            @if let Some(reason) = &task.reason { dt { "Reason" } dd { (foreign(reason)) } }
            dt { "UUID" }
            dd { span.uuid { (summary.task_uuid) } " · " a href=(format!("/v1/tasks/{}", summary.task_uuid)) { "JSON" } }
        }
    }
}

fn context(task: &TaskOutline) -> Markup {
    let whole = format!("/v1/tasks/{}", task.summary.task_uuid);
    html! {
        h2 #context { "Context" }
        @if task.context_omitted {
            p.note { "It is large. " a href=(whole) { "The task as JSON" } " has it." }
        } @else {
            (json(&task.context, &whole))
        }
    }
}

/// The address of a step's page.
pub(crate) fn step_address(task_uuid: TaskUuid, step_name: &str) -> String {
    format!("{}/steps/{}", task_address(task_uuid), in_path(step_name))
}

/// A text as one segment of a path.
fn in_path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
