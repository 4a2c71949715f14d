//! A step: its attempts, what it was given, and what came of it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;
use tasker_shared::error::Error;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::state::StepState;
use tasker_shared::tasks::{
    Move, StepInDetail, TaskOutline, latest_moves, outline_task, step_in_detail, steps_in_detail,
};
use tasker_shared::why::Why;
use tasker_shared::words;

use super::history::{self, actor, error_text};
use super::{act, in_path, step_address, why};
use crate::extract::{NoParams, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::steps::StepPath;
use crate::tasks::{no_task, parse_task_uuid};
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{
    between, dash, foreign, json, moment, moment_or_dash, step_state, task_address,
};

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
) -> Result<Response, Problem> {
    let task_uuid = parse_task_uuid(&path.task_uuid)?;
    let looked = state
        .database
        .call("step_page", async |connection| {
            look(connection, task_uuid, &path.step_name).await
        })
        .await?
        .ok_or_else(|| no_task(task_uuid))?;
    let page = Page {
        title: &format!("{} {}", looked.step.name, task_uuid.short()),
        section: Section::Tasks,
        live: Live::Task(task_uuid),
        content: content(&looked),
    };
    Ok(page.into_response())
}

async fn look(
    connection: &mut sqlx::PgConnection,
    task_uuid: TaskUuid,
    name: &str,
) -> Result<Option<Looked>, Error> {
    let Some(task) = outline_task(connection, task_uuid).await? else {
        return Ok(None);
    };
    let step = step_in_detail(connection, task_uuid, name, MOST_BYTES).await?;
    let few = |step_nos: &[i32]| step_nos[..step_nos.len().min(MOST_NEIGHBOURS)].to_vec();
    let (parents, dependents) = (few(&step.depends_on), few(&step.dependents));
    let itself = [step.step_no];
    let moves = latest_moves(
        connection,
        task_uuid,
        Some(&itself),
        MOST_MOVES,
        ERROR_CHARACTERS,
    )
    .await?;
    Ok(Some(Looked {
        moves,
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
    let address = step_address(task_uuid, &step.name);
    let whole = format!("/v1/tasks/{task_uuid}/steps/{}", in_path(&step.name));
    html! {
        p.path { a href=(task_address(task_uuid)) { (task.summary.name) " " (task_uuid.short()) } " / step" }
        h1 { (foreign(&step.name)) " " (step_state(step.state)) }
        (facts(task, step, &whole))
        (act::links(&address, &act::for_step(task.summary.state, step.state)))
        (why::panel(&looked.why, task_uuid))
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
        p.note { "What the template gives its handler besides the " a href=(format!("{}#context", task_address(task_uuid))) { "context of the task" } "." }
        (json(&step.input, &whole))
        (neighbours("Depends on", task_uuid, &looked.parents, step.depends_on.len()))
        (neighbours("Steps that depend on it", task_uuid, &looked.dependents, step.dependents.len()))
        (history::table(task_uuid, &looked.moves, MOST_MOVES))
    }
}

fn facts(task: &TaskOutline, step: &StepInDetail, whole: &str) -> Markup {
    let id = StepId {
        task_uuid: task.summary.task_uuid,
        step_no: step.step_no,
    };
    html! {
        dl.facts.wide {
            dt { "Handler" } dd { code { (step.handler) } }
            dt { "Attempts" } dd { (step.attempts) " of " (step.max_attempts) }
            dt { "Timeout" } dd { (words::duration(std::time::Duration::from_millis(step.timeout_ms.unsigned_abs()))) }
            dt { "Queued" } dd { (moment_or_dash(step.enqueued_at)) }
            dt { "Started" } dd { (moment_or_dash(step.started_at)) }
            dt { "Ended" } dd { (moment_or_dash(step.finished_at)) }
            @if let Some(at) = step.retry_at { dt { "Next attempt" } dd { (moment(at)) } }
            dt { "Worker" } dd { @if let Some(worker) = &step.worker { (foreign(worker)) } @else { (dash()) } }
            dt { "UUID" } dd { span.uuid { (id) } " · " a href=(whole) { "JSON" } }
        }
    }
}

/// An attempt, put together from its moves.
#[derive(Default)]
struct Attempt<'a> {
    number: i32,
    queued: Option<&'a Move>,
    started: Option<&'a Move>,
    ended: Option<&'a Move>,
}

/// The latest attempt first.
fn attempts(task: &TaskOutline, moves: &[Move]) -> Markup {
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    let mut queued = None;
    for one in moves.iter().rev() {
        match (one.from_state.parse(), one.to_state.parse()) {
            (_, Ok(StepState::Enqueued)) => queued = Some(one),
            (_, Ok(StepState::InProgress)) => attempts.push(Attempt {
                number: one.attempt.unwrap_or(0),
                queued: queued.take(),
                started: Some(one),
                ended: None,
            }),
            (Ok(StepState::InProgress), _) => {
                if let Some(attempt) = attempts.last_mut() {
                    attempt.ended = Some(one);
                }
            }
            _ => {}
        }
    }
    html! {
        @if attempts.is_empty() { p.none { "It has not been started." } }
        @for attempt in attempts.iter().rev() { (draw(task, attempt)) }
    }
}

fn draw(task: &TaskOutline, attempt: &Attempt<'_>) -> Markup {
    let until = attempt.ended.map_or(task.now, |one| one.at);
    let error = attempt.ended.and_then(|one| one.error.as_ref());
    let state = attempt.ended.map_or("in_progress", |one| &one.to_state);
    let class = if error.is_some() { "problem" } else { "panel" };
    html! {
        div class=(class) id=(format!("attempt-{}", attempt.number)) {
            h3 {
                "Attempt " (attempt.number) " "
                @match state {
                    "in_progress" => (step_state(StepState::InProgress)),
                    _ if error.is_some() => span.state.error { span aria-hidden="true" { "✕" } "failed" },
                    "enqueued" | "pending" => span.state { "given back" },
                    state => @if let Ok(state) = state.parse() { (step_state(state)) },
                }
            }
            p.note {
                @if let Some(queued) = attempt.queued { "queued " (moment(queued.at)) " · " }
                @if let Some(started) = attempt.started {
                    "started " (moment(started.at)) " by " (actor(started.actor.as_deref())) " · "
                    @if attempt.ended.is_some() { "took " } @else { "running for " } (between(started.at, until))
                }
            }
            @if let Some(error) = error { (failure(&error.0)) }
        }
    }
}

/// An error with what else its handler said; a backtrace line by line.
fn failure(error: &Value) -> Markup {
    let lines = error["details"]["backtrace"].as_array();
    let lines = lines.map(|lines| {
        lines
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    });
    html! {
        p.error-text { (foreign(&error_text(error))) }
        @if let Some(lines) = lines { details { summary { "Backtrace" } pre tabindex="0" { (lines) } } }
        @else if !error["details"].is_null() { details { summary { "Details" } (json(&error["details"], "#history")) } }
    }
}

fn neighbours(title: &str, task_uuid: TaskUuid, steps: &[StepInDetail], all: usize) -> Markup {
    html! {
        @if !steps.is_empty() {
            h2 { (title) }
            ul.neighbours {
                @for step in steps {
                    li {
                        a href=(step_address(task_uuid, &step.name)) { (foreign(&step.name)) } " " (step_state(step.state))
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
