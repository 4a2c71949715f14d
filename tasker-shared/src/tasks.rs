//! Tasks: submitted, looked at, cancelled.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::announcements::Announcements;
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::{StepState, TaskState};
use crate::steps::StepError;

/// A task to be submitted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTask {
    /// Namespace of the template.
    pub namespace: String,
    /// Name of the template.
    pub name: String,
    /// Version of the template; the highest where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Input of the task, checked against the template's input schema.
    pub context: Value,
    /// Larger is claimed first.
    pub priority: i32,
    /// The same key again, for the same template, gives the first task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What happens where the key was used with another context.
    #[serde(default)]
    pub on_conflict: OnConflict,
}

/// What to do where an idempotency key was used with another context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Answer with the task of its first use, and say that its context differs.
    #[default]
    Existing,
    /// Refuse the submission as a conflict.
    Reject,
}

/// The answer to one submitted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Submitted {
    /// The task; the first one where its idempotency key was known.
    #[schema(value_type = Uuid, example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    pub task_uuid: TaskUuid,
    /// Whether this request created it.
    pub created: bool,
    /// Whether that first task has another context than this request; false where it was created.
    pub context_differs: bool,
}

impl Announcements {
    /// Those of submitted tasks. One whose idempotency key was known is announced again, in case
    /// its first announcement was lost; it is left out once a step of it was claimed.
    pub fn of_submitted(submitted: &[Submitted]) -> Self {
        let created = submitted.iter().filter(|task| task.created);
        Self {
            submitted: submitted.iter().map(|task| task.task_uuid.0).collect(),
            created: created.map(|task| task.task_uuid.0).collect(),
            ..Self::default()
        }
    }
}

/// Submits tasks, all or none, in the caller's transaction where there is one.
///
/// The answers are in the order of the input.
///
/// # Errors
/// A refusal that names the position of the first offending task: not-found for an unknown
/// template or version, invalid input for a context that its schema refuses, conflict for a key that
/// was used with another context where that is to be refused.
pub async fn submit_tasks(
    connection: &mut PgConnection,
    tasks: &[NewTask],
) -> Result<Vec<Submitted>, Error> {
    Ok(sqlx::query_as(
        "select task_uuid, created, context_differs from tasker.submit_tasks($1) order by position",
    )
    .bind(Json(tasks))
    .fetch_all(connection)
    .await?)
}

/// Submits tasks as [`submit_tasks`] does, without announcing them: that is for the caller to do once
/// it has committed. Where an idempotency key is in the hands of another transaction it waits no
/// longer than `lock_timeout`.
///
/// # Errors
/// Those of [`submit_tasks`], and [`Error::Locked`] when `lock_timeout` is over.
pub async fn submit_tasks_silently(
    connection: &mut PgConnection,
    tasks: &[NewTask],
    lock_timeout: Option<Duration>,
) -> Result<Vec<Submitted>, Error> {
    let lock_timeout = lock_timeout.map(|it| i32::try_from(it.as_millis()).unwrap_or(i32::MAX));
    Ok(sqlx::query_as(
        "select task_uuid, created, context_differs from tasker.submit_tasks_silently($1, $2)",
    )
    .bind(Json(tasks))
    .bind(lock_timeout)
    .fetch_all(connection)
    .await?)
}

/// What a task shows in a list and alone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskSummary {
    /// Identity of the task.
    #[schema(value_type = Uuid, example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    pub task_uuid: TaskUuid,
    /// Namespace of its template.
    #[schema(example = "fulfillment")]
    pub namespace: String,
    /// Name of its template.
    #[schema(example = "order_fulfillment")]
    pub name: String,
    /// Version of its template.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// Where it stands.
    pub state: TaskState,
    /// Larger is claimed first.
    #[schema(example = 0)]
    pub priority: i32,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When its first step was claimed.
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// What a step of it waits for that the engine cannot bring about; null for nothing.
    #[serde(default)]
    #[schema(required)]
    pub waits_for: Option<WaitsFor>,
}

/// What a step waits for that the engine cannot bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// A worker that knows its handler: no live one of its namespace does. It costs no attempt, and
    /// ends as soon as such a worker runs.
    WorkerForHandler,
}

/// A task in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ListedTask {
    /// The task itself.
    #[serde(flatten)]
    #[schema(inline)]
    pub summary: TaskSummary,
    /// The first of its steps that failed, of those that the list was restricted to.
    #[schema(required)]
    pub failed_step: Option<FailedStep>,
}

/// Which step of a task failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedStep {
    /// Name within the template.
    #[schema(example = "charge")]
    pub name: String,
    /// Sort of failure.
    #[schema(required, example = "handler_failed")]
    pub kind: Option<String>,
    /// What the error says, up to 500 characters.
    #[schema(required, example = "card refused")]
    pub message: Option<String>,
}

/// A task with its steps.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskDetail {
    /// The task itself.
    #[serde(flatten)]
    #[schema(inline)]
    pub summary: TaskSummary,
    /// Its input.
    #[schema(example = json!({"order_id": 1}))]
    pub context: Value,
    /// The key it was submitted with.
    #[schema(required)]
    pub idempotency_key: Option<String>,
    /// What was said by the operator who cancelled or resolved it.
    #[schema(required)]
    pub reason: Option<String>,
    /// What the states of the steps amount to: `has_ready_steps`, `processing`, `waiting`,
    /// `blocked_by_failures` or `all_complete`.
    #[schema(example = "processing")]
    pub execution_status: String,
    /// Whether the results of its steps are left out, because together they have more than 32 MiB.
    /// `GET /v1/tasks/{task_uuid}/steps/{step_name}` answers one with its result.
    pub results_omitted: bool,
    /// Its steps, in the order of the template.
    pub steps: Vec<StepDetail>,
}

/// A step of a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Step)]
pub struct StepDetail {
    /// Name within the template.
    #[schema(example = "reserve")]
    pub name: String,
    /// Identity of the step.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0002")]
    pub step_uuid: Uuid,
    /// Where it stands.
    pub state: StepState,
    /// Name of its handler.
    #[schema(example = "stock.reserve")]
    pub handler: String,
    /// What the template gives its handler besides the context of the task.
    #[serde(default)]
    #[schema(required, example = json!({"speed": "express"}))]
    pub input: Value,
    /// Names of the steps it depends on.
    #[schema(example = json!(["validate"]))]
    pub depends_on: Vec<String>,
    /// How many times it was started.
    pub attempts: i32,
    /// How many times it may be started.
    pub max_attempts: i32,
    /// What its handler returned, or what an operator gave it; null also where the task says
    /// `results_omitted`.
    #[schema(required, value_type = Value)]
    pub result: Option<Value>,
    /// Size of the result as the database keeps it in memory; 0 where there is none.
    pub result_bytes: i64,
    /// Why its latest attempt failed; null while it runs.
    #[schema(required, value_type = Option<StepError>)]
    pub error: Option<Value>,
    /// The worker that ran its latest attempt.
    #[schema(required)]
    pub worker: Option<String>,
    /// When its latest message was sent.
    #[schema(required)]
    pub enqueued_at: Option<DateTime<Utc>>,
    /// When its latest attempt started.
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// When its next attempt is due.
    #[schema(required)]
    pub retry_at: Option<DateTime<Utc>>,
    /// What it waits for that the engine cannot bring about; null for nothing.
    #[serde(default)]
    #[schema(required)]
    pub waits_for: Option<WaitsFor>,
}

impl TaskDetail {
    /// Size of the results of all its steps.
    pub fn result_bytes(&self) -> i64 {
        self.steps.iter().map(|step| step.result_bytes).sum()
    }
}

/// The task with its steps, from one snapshot; `None` where there is no such task.
pub async fn get_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Option<TaskDetail>, Error> {
    let detail: Option<Value> = sqlx::query_scalar("select tasker.get_task($1)")
        .bind(task_uuid)
        .fetch_one(connection)
        .await?;
    detail
        .map(|detail| {
            let mut task: TaskDetail = decode(detail, "tasker.get_task", task_uuid)?;
            task.summary.waits_for = task.steps.iter().find_map(|step| step.waits_for);
            Ok(task)
        })
        .transpose()
}

/// A step of a task, with its result however large that is.
///
/// # Errors
/// A refusal where there is no such task or it has no step of that name.
pub async fn get_step(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: &str,
) -> Result<StepDetail, Error> {
    let step: Value = sqlx::query_scalar("select tasker.get_step($1, $2)")
        .bind(task_uuid)
        .bind(step_name)
        .fetch_one(connection)
        .await?;
    decode(step, "tasker.get_step", task_uuid)
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Only tasks of this namespace.
    pub namespace: Option<String>,
    /// Only tasks of templates of this name.
    pub name: Option<String>,
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// At most this many.
    pub limit: i32,
    /// Only tasks submitted before this one.
    pub before: Option<TaskUuid>,
    /// Only tasks submitted at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Only tasks submitted before this moment.
    pub until: Option<DateTime<Utc>>,
    /// Only tasks that were submitted with this idempotency key.
    pub key: Option<String>,
    /// Only failed tasks of which a step of this name failed.
    pub step: Option<String>,
    /// Only failed tasks of which a step's error says this, in whatever case.
    pub error: Option<String>,
}

/// Tasks that match, the latest submitted first.
pub async fn list_tasks(
    connection: &mut PgConnection,
    filter: &TaskFilter,
) -> Result<Vec<ListedTask>, Error> {
    let rows: Vec<Value> = sqlx::query_scalar(
        "select tasker.list_tasks($1, $2, $3::text::tasker.task_state, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&filter.namespace)
    .bind(&filter.name)
    .bind(filter.state.map(TaskState::as_str))
    .bind(filter.before)
    .bind(filter.limit)
    .bind(filter.since)
    .bind(filter.until)
    .bind(&filter.key)
    .bind(&filter.step)
    .bind(&filter.error)
    .fetch_all(&mut *connection)
    .await?;
    let tasks = rows.into_iter();
    let tasks = tasks.map(|row| decode(row, "tasker.list_tasks", "a row"));
    let mut tasks = tasks.collect::<Result<Vec<ListedTask>, Error>>()?;
    mark_those_without_worker(connection, &mut tasks).await?;
    Ok(tasks)
}

/// Notes which of the tasks have a step that no live worker can run.
async fn mark_those_without_worker(
    connection: &mut PgConnection,
    tasks: &mut [ListedTask],
) -> Result<(), Error> {
    let under_way = tasks
        .iter()
        .filter(|task| task.summary.state == TaskState::InProgress);
    let under_way: Vec<Uuid> = under_way.map(|task| task.summary.task_uuid.0).collect();
    if under_way.is_empty() {
        return Ok(());
    }
    let waiting: Vec<Uuid> = sqlx::query_scalar("select tasker.tasks_without_worker($1)")
        .bind(under_way)
        .fetch_one(connection)
        .await?;
    let waiting: HashSet<Uuid> = waiting.into_iter().collect();
    for task in tasks {
        if waiting.contains(&task.summary.task_uuid.0) {
            task.summary.waits_for = Some(WaitsFor::WorkerForHandler);
        }
    }
    Ok(())
}

/// Up to `limit` tasks whose UUID begins with these hexadecimal digits or ends with them, as
/// [`TaskUuid::short`] does; the latest first.
pub async fn find_tasks(
    connection: &mut PgConnection,
    digits: &str,
    limit: i32,
) -> Result<Vec<TaskUuid>, Error> {
    Ok(sqlx::query_scalar("select tasker.find_tasks($1, $2)")
        .bind(digits)
        .bind(limit)
        .fetch_all(connection)
        .await?)
}

/// Whether the task ended; `None` where there is no such task.
pub async fn task_is_terminal(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Option<bool>, Error> {
    Ok(sqlx::query_scalar(
        "select state not in ('pending', 'in_progress') from tasker.tasks where task_uuid = $1",
    )
    .bind(task_uuid)
    .fetch_optional(connection)
    .await?)
}

/// Those of the tasks that ended.
pub async fn ended_tasks(
    connection: &mut PgConnection,
    task_uuids: &[TaskUuid],
) -> Result<Vec<TaskUuid>, Error> {
    let task_uuids: Vec<Uuid> = task_uuids.iter().map(|task_uuid| task_uuid.0).collect();
    Ok(sqlx::query_scalar(
        "select task_uuid from tasker.tasks \
         where task_uuid = any($1) and state not in ('pending', 'in_progress')",
    )
    .bind(task_uuids)
    .fetch_all(connection)
    .await?)
}

/// One move of a task or of one of its steps.
#[derive(Debug, Clone, Serialize, Deserialize, sqlx::FromRow, ToSchema)]
pub struct Transition {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The step that moved; null for the task itself.
    #[schema(required)]
    pub step_name: Option<String>,
    /// The step's attempt.
    #[schema(required)]
    pub attempt: Option<i32>,
    /// The state left.
    #[schema(example = "enqueued")]
    pub from_state: String,
    /// The state entered.
    #[schema(example = "in_progress")]
    pub to_state: String,
    /// Who moved it: an orchestrator, a worker or an operator.
    #[schema(required)]
    pub actor: Option<String>,
    /// Why, where a reason was given.
    #[schema(required)]
    pub reason: Option<String>,
}

/// Every move of the task and its steps, the oldest first.
pub async fn task_history(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Vec<Transition>, Error> {
    Ok(sqlx::query_as(
        "select at, step_name, attempt, from_state, to_state, actor, reason \
         from tasker.task_history($1)",
    )
    .bind(task_uuid)
    .fetch_all(connection)
    .await?)
}

fn decode<T: serde::de::DeserializeOwned>(
    value: Value,
    source: &str,
    id: impl std::fmt::Display,
) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::Corrupt(format!("{source} gave for {id}: {error}")))
}
