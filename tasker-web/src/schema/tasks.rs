//! Tasks, in lists and alone.

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::states::{TaskState, WaitsFor};
use super::steps::Step;

/// A task in a list.
#[derive(ToSchema)]
pub(crate) struct ListedTask {
    /// Identity of the task.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    task_uuid: Uuid,
    /// Namespace of its template.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name of its template.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version of its template.
    #[schema(example = "1.0.0")]
    version: String,
    /// Where it stands.
    state: TaskState,
    /// Larger is claimed first.
    #[schema(example = 0)]
    priority: i32,
    /// When it was submitted.
    created_at: DateTime<Utc>,
    /// When its first step was claimed.
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// What a step of it waits for that the engine cannot bring about; null for nothing.
    #[schema(required)]
    waits_for: Option<WaitsFor>,
    /// The first of its steps that failed, of those that the list was restricted to.
    #[schema(required)]
    failed_step: Option<FailedStep>,
}

/// Which step of a task failed, and why.
#[derive(ToSchema)]
pub(crate) struct FailedStep {
    /// Name within the template.
    #[schema(example = "charge")]
    name: String,
    /// Sort of failure.
    #[schema(required, example = "handler_failed")]
    kind: Option<String>,
    /// What the error says, up to 500 characters.
    #[schema(required, example = "card refused")]
    message: Option<String>,
}

/// A task with its steps.
#[derive(ToSchema)]
pub(crate) struct Task {
    /// Identity of the task.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    task_uuid: Uuid,
    /// Namespace of its template.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name of its template.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version of its template.
    #[schema(example = "1.0.0")]
    version: String,
    /// Where it stands.
    state: TaskState,
    /// Larger is claimed first.
    #[schema(example = 0)]
    priority: i32,
    /// When it was submitted.
    created_at: DateTime<Utc>,
    /// When its first step was claimed.
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// What a step of it waits for that the engine cannot bring about; null for nothing.
    #[schema(required)]
    waits_for: Option<WaitsFor>,
    /// Its input.
    #[schema(example = json!({"order_id": 1}))]
    context: Value,
    /// The key it was submitted with.
    #[schema(required)]
    idempotency_key: Option<String>,
    /// What was said by the operator who cancelled or resolved it.
    #[schema(required)]
    reason: Option<String>,
    /// What the states of the steps amount to: `has_ready_steps`, `processing`, `waiting`,
    /// `blocked_by_failures` or `all_complete`.
    #[schema(example = "processing")]
    execution_status: String,
    /// Whether the results of its steps are left out, because together they have more than 32 MiB.
    /// `GET /v1/tasks/{task_uuid}/steps/{step_name}` answers one with its result.
    results_omitted: bool,
    /// Its steps, in the order of the template.
    steps: Vec<Step>,
}
