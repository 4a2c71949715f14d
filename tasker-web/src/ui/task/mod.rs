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

use axum::Router;
use axum::routing::get;
use sqlx::PgConnection;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::StepState;
use tasker_shared::tasks::{
    Move, StepInDetail, StepOutline, TaskOutline, latest_moves, outline_steps, outline_task,
    steps_in_detail,
};
use tasker_shared::why::{Why, why_of_some};

use crate::tasks::{no_task, parse_task_uuid};

use crate::ui::prelude::*;
use graph::{Node, graph};
use steps::View;

pub(super) use act::Act;

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
    let acts = || get(act::confirm).post(act::act);
    Router::new()
        .route("/ui/tasks/{task_uuid}", get(task))
        .route("/ui/tasks/{task_uuid}/act/{act}", acts())
        .route("/ui/tasks/{task_uuid}/steps/{step_name}", get(step::step))
        .route("/ui/tasks/{task_uuid}/steps/{step_name}/act/{act}", acts())
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
    Params(mut view): Params<View>,
) -> Result<Page, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let looked = state.database.call("task_page", async |connection| {
        look(connection, task_uuid, &mut view).await
    });
    let looked = looked.await?.ok_or_else(|| no_task(task_uuid))?;
    let title = format!("{} {}", looked.task.summary.name, task_uuid.short());
    Ok(Page::of_task(task_uuid, title, content(&looked, &view)))
}

async fn look(
    connection: &mut PgConnection,
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
    let whole = format!("/v1/tasks/{task_uuid}");
    html! {
        (head(task, &whole))
        (act::links(&task_address(task_uuid), Act::of_task(task.summary.state, has_failed)))
        @if is_stuck { (why) }
        h2 { "Graph" }
        (graph(&nodes(task_uuid, steps)))
        @if !is_stuck { (why) }
        (timeline::timeline(task, &looked.shown, &looked.moves_of_shown))
        (steps::list(looked, view))
        (history::list(task_uuid, &looked.moves, MOST_MOVES))
        h2 #context { "Context" }
        @if task.context_omitted {
            p.note { "It is large. " a href=(whole) { "The task as JSON" } " has it." }
        } @else {
            (json(&task.context, &whole))
        }
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

fn head(task: &TaskOutline, whole: &str) -> Markup {
    let summary = &task.summary;
    let until = summary.finished_at.unwrap_or(task.now);
    let took = between(summary.started_at.unwrap_or(summary.created_at), until);
    let template = template_address(&summary.namespace, &summary.name);
    let version = &summary.version;
    let is_over = summary.finished_at.is_some();
    html! {
        h1 { (summary.name) " " span.uuid.note { (summary.task_uuid.short()) } " " (state(summary.state.as_str())) }
        (facts([
            ("Template", html! { a href=(format!("{template}/{version}")) { (summary.namespace) "/" (summary.name) "@" (version) } }),
            ("Submitted", moment(summary.created_at)),
            ("Started", moment_if_any(summary.started_at)),
            ("Ended", moment_if_any(summary.finished_at)),
            (if is_over { "Took" } else { "Running for" }, html! { (took) }),
            ("Priority", html! { @if summary.priority != 0 { (summary.priority) } }),
            ("Idempotency key", foreign_if_any(task.idempotency_key.as_ref())),
            ("Reason", foreign_if_any(task.reason.as_ref())),
            ("UUID", html! { span.uuid { (summary.task_uuid) } " · " a href=(whole) { "JSON" } }),
        ]))
    }
}
