//! Steps with what went in and what came out.

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::states::{StepState, WaitsFor};

/// A step of a task.
#[derive(ToSchema)]
pub(crate) struct Step {
    /// Name within the template.
    #[schema(example = "reserve")]
    name: String,
    /// Identity of the step.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0002")]
    step_uuid: Uuid,
    /// Where it stands.
    state: StepState,
    /// Name of its handler.
    #[schema(example = "stock.reserve")]
    handler: String,
    /// What the template gives its handler besides the context of the task.
    #[schema(example = json!({"speed": "express"}))]
    input: Value,
    /// Names of the steps it depends on.
    #[schema(example = json!(["validate"]))]
    depends_on: Vec<String>,
    /// How many times it was started.
    attempts: i32,
    /// How many times it may be started.
    max_attempts: i32,
    /// What its handler returned, or what an operator gave it; null also where the task says
    /// `results_omitted`.
    result: Value,
    /// Size of the result as the database keeps it in memory; 0 where there is none.
    result_bytes: i64,
    /// Why its latest attempt failed; null while it runs.
    #[schema(required)]
    error: Option<StepError>,
    /// The worker that ran its latest attempt.
    #[schema(required)]
    worker: Option<String>,
    /// When its latest message was sent.
    #[schema(required)]
    enqueued_at: Option<DateTime<Utc>>,
    /// When its latest attempt started.
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// When its next attempt is due.
    #[schema(required)]
    retry_at: Option<DateTime<Utc>>,
    /// What it waits for that the engine cannot bring about; null for nothing.
    #[schema(required)]
    waits_for: Option<WaitsFor>,
}

/// Why an attempt failed.
#[derive(ToSchema)]
pub(crate) struct StepError {
    /// Sort of failure: `handler_failed`, `panic`, `timeout`, `lease_expired`, `input_too_large`,
    /// `invalid_input` or a word of the handler's own.
    #[schema(example = "handler_failed")]
    kind: String,
    /// What happened.
    message: String,
    /// What else the handler had to say.
    #[schema(required = false)]
    details: Value,
}
