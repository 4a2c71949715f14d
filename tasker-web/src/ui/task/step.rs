//! A step: its attempts, what it was given, and what came of it.

use serde_json::Value;
use sqlx::PgConnection;
use tasker_shared::error::Error;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::state::StepState;
use tasker_shared::tasks::{
    Move, StepInDetail, TaskOutline, latest_moves, outline_task, step_in_detail, steps_in_detail,
};
use tasker_shared::why::Why;
use tasker_shared::words;

use super::history::{self, actor, error_text};
use super::{act, why};
use crate::steps::StepPath;
use crate::tasks::{no_task, parse_task_uuid};
use crate::ui::prelude::*;

/// Most bytes of an input or a result that a page shows.
const MOST_BYTES: i32 = 256 * 1024;

/// Characters of an error, and of its details, that a page shows.
const ERROR_CHARACTERS: i32 = 4000;

/// Moves that the attempts are read from.
const MOST_MOVES: i32 = 200;

/// Parents and dependents that are named, of each.
const MOST_NEIGHBOURS: usize = 50;

/// All that the page shows.
struct Looked {
    task: TaskOutline,
    step: StepInDetail,
    parents: Vec<StepInDetail>,
    dependents: Vec<StepInDetail>,
    moves: Vec<Move>,
    why: Why,
}

pub(super) async fn step(
    State(state): State<WebState>,
    PathParts(path): PathParts<StepPath>,
    _: NoParams,
) -> Result<Page, Problem> {
    let task_uuid = parse_task_uuid(&path.task_uuid)?;
    let looked = state.database.call("step_page", async |connection| {
        look(connection, task_uuid, &path.step_name).await
    });
    let looked = looked.await?.ok_or_else(|| no_task(task_uuid))?;
    let title = format!("{} {}", looked.step.name, task_uuid.short());
    Ok(Page::of_task(task_uuid, title, content(&looked)))
}

async fn look(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    name: &str,
) -> Result<Option<Looked>, Error> {
    let Some(task) = outline_task(connection, task_uuid).await? else {
        return Ok(None);
    };
    let step = step_in_detail(connection, task_uuid, name, MOST_BYTES).await?;
    let few = |step_nos: &[i32]| step_nos[..step_nos.len().min(MOST_NEIGHBOURS)].to_vec();
    let (parents, dependents) = (few(&step.depends_on), few(&step.dependents));
    let itself = Some(&[step.step_no][..]);
    Ok(Some(Looked {
        moves: latest_moves(connection, task_uuid, itself, MOST_MOVES, ERROR_CHARACTERS).await?,
        parents: steps_in_detail(connection, task_uuid, &parents, 0).await?,
        dependents: steps_in_detail(connection, task_uuid, &dependents, 0).await?,
        why: why::for_pages(tasker_shared::why::why(connection, task_uuid, Some(name)).await?),
        task,
        step,
    }))
}

fn content(looked: &Looked) -> Markup {
    let Looked { task, step, .. } = looked;
    let task_uuid = task.summary.task_uuid;
    let of_task = task_address(task_uuid);
    let whole = format!("/v1/tasks/{task_uuid}/steps/{}", in_path(&step.name));
    html! {
        p { a href=(of_task) { (task.summary.name) " " (task_uuid.short()) } " / step" }
        h1 { (foreign(&step.name)) " " (state(step.state.as_str())) }
        (about(task_uuid, step, &whole))
        (act::links(&step_address(task_uuid, &step.name), act::Act::of_step(task.summary.state, step.state)))
        // Why a step failed is said by its attempts.
        @if step.state != StepState::Error { (why::panel(&looked.why, task_uuid)) }
        h2 #attempts { "Attempts" }
        (attempts(task, &looked.moves))
        h2 #result { "Result" }
        @if step.result_bytes > i64::from(MOST_BYTES) {
            p.note { "It has " (words::bytes(step.result_bytes)) ". " a href=(whole) { "The step as JSON" } " has it." }
        } @else if step.result_bytes > 0 {
            (json(&step.result, &whole))
        } @else {
            p.none { "There is none yet." }
        }
        h2 #input { "Input" }
        p.note { "What the template gives its handler besides the " a href=(format!("{of_task}#context")) { "context of the task" } "." }
        (json(&step.input, &whole))
        (neighbours("Depends on", task_uuid, &looked.parents, step.depends_on.len()))
        (neighbours("Steps that depend on it", task_uuid, &looked.dependents, step.dependents.len()))
        (history::list(task_uuid, &looked.moves, MOST_MOVES))
    }
}

fn about(task_uuid: TaskUuid, step: &StepInDetail, whole: &str) -> Markup {
    let step_no = step.step_no;
    let id = StepId { task_uuid, step_no };
    facts([
        ("Handler", html! { code { (step.handler) } }),
        (
            "Attempts",
            html! { (step.attempts) " of " (step.max_attempts) },
        ),
        (
            "Timeout",
            html! { (milliseconds(step.timeout_ms.unsigned_abs())) },
        ),
        ("Queued", moment_if_any(step.enqueued_at)),
        ("Started", moment_if_any(step.started_at)),
        ("Ended", moment_if_any(step.finished_at)),
        ("Next attempt", moment_if_any(step.retry_at)),
        ("Worker", foreign_if_any(step.worker.as_ref())),
        (
            "UUID",
            html! { span.uuid { (id) } " · " a href=(whole) { "JSON" } },
        ),
    ])
}

/// Each start among the moves of a step, which are the latest first, with what came before and after it.
fn attempts(task: &TaskOutline, moves: &[Move]) -> Markup {
    let started = moves.iter().enumerate();
    let mut started = started
        .filter(|(_, one)| one.to_state == "in_progress")
        .peekable();
    html! {
        @if started.peek().is_none() { p.none { "It has not been started." } }
        @for (at, started) in started {
            @let queued = moves.get(at + 1).filter(|one| one.to_state == "enqueued");
            (attempt(task, queued, started, at.checked_sub(1).map(|next| &moves[next])))
        }
    }
}

fn attempt(
    task: &TaskOutline,
    queued: Option<&Move>,
    started: &Move,
    ended: Option<&Move>,
) -> Markup {
    let until = ended.map_or(task.now, |one| one.at);
    let error = ended.and_then(|one| one.error.as_ref());
    let number = started.attempt.unwrap_or(0);
    html! {
        div class=(if error.is_some() { "problem" } else { "panel" }) id=(format!("attempt-{number}")) {
            h3 {
                "Attempt " (number) " "
                @match ended.map_or("in_progress", |one| &one.to_state) {
                    _ if error.is_some() => (badge("error", "failed")),
                    "enqueued" | "pending" => (badge("", "given back")),
                    other => (state(other)),
                }
            }
            p.note {
                @if let Some(queued) = queued { "queued " (moment(queued.at)) " · " }
                "started " (moment(started.at)) " by " (actor(started)) " · "
                @if ended.is_some() { "took " } @else { "running for " } (between(started.at, until))
            }
            @if let Some(error) = error { (failure(&error.0)) }
        }
    }
}

/// An error with what else its handler said; a backtrace line by line.
fn failure(error: &Value) -> Markup {
    let details = &error["details"];
    let lines = details["backtrace"].as_array().map(|lines| {
        let lines = lines.iter().filter_map(Value::as_str);
        lines.collect::<Vec<_>>().join("\n")
    });
    html! {
        p.bad { (foreign(&error_text(error))) }
        @if let Some(lines) = lines { details { summary { "Backtrace" } pre tabindex="0" { (lines) } } }
        @else if !details.is_null() { details { summary { "Details" } (json(details, "#history")) } }
    }
}

fn neighbours(title: &str, task_uuid: TaskUuid, steps: &[StepInDetail], all: usize) -> Markup {
    html! {
        @if !steps.is_empty() {
            h2 { (title) }
            ul {
                @for step in steps {
                    li {
                        (step_link(task_uuid, &step.name)) " " (state(step.state.as_str()))
                        @if step.result_bytes > 0 {
                            " " a href=(format!("{}#result", step_address(task_uuid, &step.name))) { "result" }
                            span.note { ", " (words::bytes(step.result_bytes)) }
                        }
                    }
                }
            }
            @if all > steps.len() { p.note { "and " (all - steps.len()) " more" } }
        }
    }
}
