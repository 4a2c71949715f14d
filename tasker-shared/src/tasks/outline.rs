//! Tasks as people look at them: bounded however large the task is, so that it can be read again every
//! second.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use super::{TaskSummary, decode};
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::StepState;

/// A task without its steps.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskOutline {
    /// The task itself.
    #[serde(flatten)]
    pub summary: TaskSummary,
    /// The key it was submitted with.
    pub idempotency_key: Option<String>,
    /// What was said by the operator who cancelled or resolved it.
    pub reason: Option<String>,
    /// Its input; null where it is large.
    pub context: Value,
    /// Whether its input is left out because it is large.
    pub context_omitted: bool,
    /// The moment at which it was like this.
    pub now: DateTime<Utc>,
}

/// A step as a drawing of all of them shows it.
#[derive(Debug, Clone)]
pub struct StepOutline {
    /// Its number in the template, from 1.
    pub step_no: i32,
    /// Its name within the template.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// How many times it was started.
    pub attempt: i32,
    /// The positions, from 0, of the steps it depends on.
    pub depends_on: Vec<usize>,
}

/// A step among a few.
#[derive(Debug, Clone, Deserialize)]
pub struct StepInDetail {
    /// Its number in the template, from 1.
    pub step_no: i32,
    /// Its name within the template.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// Name of its handler.
    pub handler: String,
    /// How long an attempt may take.
    pub timeout_ms: i64,
    /// How many times it was started.
    pub attempts: i32,
    /// How many times it may be started.
    pub max_attempts: i32,
    /// The worker that ran its latest attempt.
    pub worker: Option<String>,
    /// When its latest message was sent.
    pub enqueued_at: Option<DateTime<Utc>>,
    /// When its latest attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its next attempt is due.
    pub retry_at: Option<DateTime<Utc>>,
    /// Why its latest attempt failed, the beginning of it; null while it runs.
    pub error: Option<String>,
    /// Numbers of the steps it depends on; none where documents are not asked for.
    pub depends_on: Vec<i32>,
    /// Numbers of the steps that depend on it; none where documents are not asked for.
    pub dependents: Vec<i32>,
    /// What the template gives its handler; null where it is large or was not asked for.
    pub input: Value,
    /// What its handler returned; null where it is large or was not asked for.
    pub result: Value,
    /// Size of the result as the database keeps it in memory; 0 where there is none.
    pub result_bytes: i64,
}

/// A move of a task or of one of its steps.
#[derive(Debug, Clone, FromRow)]
pub struct Move {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The number of the step; null for the task itself.
    pub step_no: Option<i32>,
    /// The name of the step; null for the task itself.
    pub step_name: Option<String>,
    /// The step's attempt.
    pub attempt: Option<i32>,
    /// The state left.
    pub from_state: String,
    /// The state entered.
    pub to_state: String,
    /// Who moved it: an orchestrator, a worker or an operator.
    pub actor: Option<String>,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// Why the attempt failed: `kind`, `message` and `details`.
    pub error: Option<Json<Value>>,
}

/// The task without its steps; `None` where there is no such task.
pub async fn outline_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Option<TaskOutline>, Error> {
    let task: Option<Value> = sqlx::query_scalar("select tasker.outline_task($1)")
        .bind(task_uuid)
        .fetch_one(connection)
        .await?;
    task.map(|task| decode(task, "tasker.outline_task", task_uuid))
        .transpose()
}

/// All steps of a task, in the order of the template.
pub async fn outline_steps(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Vec<StepOutline>, Error> {
    let rows: Vec<(i32, String, String, i32, Vec<i32>)> = sqlx::query_as(
        "select step_no, name, state, attempt, depends_on from tasker.outline_steps($1)",
    )
    .bind(task_uuid)
    .fetch_all(connection)
    .await?;
    let places = rows.iter().enumerate().map(|(place, row)| (row.0, place));
    let places: HashMap<i32, usize> = places.collect();
    let outline = |(step_no, name, state, attempt, depends_on): (_, _, String, _, Vec<i32>)| {
        let depends_on = depends_on
            .iter()
            .map(|step_no| places.get(step_no).copied());
        Ok(StepOutline {
            step_no,
            name,
            state: state.parse()?,
            attempt,
            depends_on: depends_on.flatten().collect(),
        })
    };
    rows.into_iter()
        .map(outline)
        .collect::<Result<_, crate::state::UnknownState>>()
        .map_err(|error| Error::Corrupt(format!("steps of task {task_uuid}: {error}")))
}

/// These steps of a task; documents of them where they have `most_bytes` at most.
pub async fn steps_in_detail(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_nos: &[i32],
    most_bytes: i32,
) -> Result<Vec<StepInDetail>, Error> {
    let rows: Vec<Value> = sqlx::query_scalar("select tasker.steps_in_detail($1, $2, $3)")
        .bind(task_uuid)
        .bind(step_nos)
        .bind(most_bytes)
        .fetch_all(connection)
        .await?;
    let rows = rows.into_iter();
    rows.map(|row| decode(row, "tasker.steps_in_detail", task_uuid))
        .collect()
}

/// The step of this name; documents of it where they have `most_bytes` at most.
///
/// # Errors
/// A refusal where there is no such task or it has no step of that name.
pub async fn step_in_detail(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: &str,
    most_bytes: i32,
) -> Result<StepInDetail, Error> {
    let step: Value =
        sqlx::query_scalar("select tasker.steps_in_detail($1, array[tasker.step_no($1, $2)], $3)")
            .bind(task_uuid)
            .bind(step_name)
            .bind(most_bytes)
            .fetch_one(connection)
            .await?;
    decode(step, "tasker.steps_in_detail", task_uuid)
}

/// Up to `limit` moves of a task and its steps, or of these steps alone, the latest first.
pub async fn latest_moves(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_nos: Option<&[i32]>,
    limit: i32,
    error_characters: i32,
) -> Result<Vec<Move>, Error> {
    Ok(sqlx::query_as(
        "select at, step_no, step_name, attempt, from_state, to_state, actor, reason, error \
         from tasker.latest_moves($1, $2, $3, $4)",
    )
    .bind(task_uuid)
    .bind(step_nos)
    .bind(limit)
    .bind(error_characters)
    .fetch_all(connection)
    .await?)
}
