//! Tasks: submitted, listed, and read with their steps and their history.

mod complete;
mod condition;
mod list;
mod named;
mod outline;
mod submission;
mod unfinished;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::{StepState, TaskState};
use crate::steps::StepError;

pub use complete::get_complete_task;
pub(crate) use condition::is_search_path;
pub use condition::{Condition, NoCondition, Operator};
pub use list::{FailedStep, ListedTask, TaskFilter, find_tasks, list_tasks};
pub use named::NamedTask;
pub use outline::{
    Move, StepInDetail, StepOutline, TaskOutline, latest_moves, outline_steps, outline_task,
    step_in_detail, steps_in_detail,
};
pub use submission::{
    Enqueuing, NewTask, OnConflict, Submission, Submitted, submit_and_enqueue, submit_tasks,
    submit_tasks_silently,
};
pub use unfinished::{UnfinishedTasks, count_unfinished};

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
    // As text, which is read into the task without a document in between.
    let detail: Option<String> = sqlx::query_scalar("select tasker.get_task($1)::text")
        .bind(task_uuid)
        .fetch_one(connection)
        .await?;
    detail
        .map(|detail| {
            let mut task: TaskDetail = serde_json::from_str(&detail)
                .map_err(|error| corrupt("tasker.get_task", task_uuid, &error))?;
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

/// Of each of the tasks that there are, a number that is another one after the task or one of its
/// steps moved.
pub async fn change_marks(
    connection: &mut PgConnection,
    task_uuids: &[TaskUuid],
) -> Result<Vec<(TaskUuid, i64)>, Error> {
    let task_uuids: Vec<Uuid> = task_uuids.iter().map(|task_uuid| task_uuid.0).collect();
    Ok(
        sqlx::query_as("select task_uuid, mark from tasker.change_marks($1)")
            .bind(task_uuids)
            .fetch_all(connection)
            .await?,
    )
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
    serde_json::from_value(value).map_err(|error| corrupt(source, id, &error))
}

fn corrupt(source: &str, id: impl std::fmt::Display, error: &serde_json::Error) -> Error {
    Error::Corrupt(format!("{source} gave for {id}: {error}"))
}
