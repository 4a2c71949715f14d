//! The schemas of what the engine's own types are sent as.
//!
//! `tasker_shared` serialises them and knows nothing of OpenAPI, so their shapes are declared here
//! once more, with the texts and examples that clients see. Tests hold real answers against these
//! schemas, with no member left over on either side.

#![expect(dead_code, reason = "these types are declared for their schemas only")]
#![expect(
    clippy::struct_field_names,
    reason = "the fields are those of the answers"
)]

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a task stands. `complete`, `error`, `cancelled` and `resolved_manually` are ends; one in
/// `error` goes on when a failed step of it is retried, skipped or resolved.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum TaskState {
    Pending,
    InProgress,
    Complete,
    Error,
    Cancelled,
    ResolvedManually,
}

/// Where a step stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum StepState {
    Pending,
    Enqueued,
    InProgress,
    WaitingForRetry,
    Complete,
    Error,
    Cancelled,
    Skipped,
    ResolvedManually,
}

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

/// What a step waits for that the engine cannot bring about.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum WaitsFor {
    /// A worker that knows its handler: no live one of its namespace does. It costs no attempt, and
    /// ends as soon as such a worker runs.
    WorkerForHandler,
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

/// One move of a task or of one of its steps.
#[derive(ToSchema)]
pub(crate) struct Transition {
    /// When it happened.
    at: DateTime<Utc>,
    /// The step that moved; null for the task itself.
    #[schema(required)]
    step_name: Option<String>,
    /// The step's attempt.
    #[schema(required)]
    attempt: Option<i32>,
    /// The state left.
    #[schema(example = "enqueued")]
    from_state: String,
    /// The state entered.
    #[schema(example = "in_progress")]
    to_state: String,
    /// Who moved it: an orchestrator, a worker or an operator.
    #[schema(required)]
    actor: Option<String>,
    /// Why, where a reason was given.
    #[schema(required)]
    reason: Option<String>,
}

/// A move of a task or a step, sent as it happens. What does not apply is left out.
#[derive(ToSchema)]
pub(crate) struct LifecycleEvent {
    /// What happened.
    event: Occurrence,
    /// When.
    at: DateTime<Utc>,
    /// The task.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    task_uuid: Uuid,
    /// Namespace of its template.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Its template.
    #[schema(example = "fulfillment/order_fulfillment@1.0.0")]
    template: String,
    /// The step that moved; left out where it was the task itself.
    #[schema(example = "charge")]
    step: Option<String>,
    /// Identity of the step.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0003")]
    step_uuid: Option<Uuid>,
    /// The step's attempt; 0 before the first.
    attempt: Option<i32>,
    /// The state left; left out where the task was submitted.
    #[schema(example = "in_progress")]
    from_state: Option<String>,
    /// The state entered.
    #[schema(example = "waiting_for_retry")]
    to_state: String,
    /// Whether a failed step will be tried again.
    retryable: Option<bool>,
    /// Who moved it: an orchestrator, a worker or an operator.
    actor: Option<String>,
    /// Why, where a reason was given.
    reason: Option<String>,
    /// Kind of the error of a failed attempt.
    #[schema(example = "timeout")]
    error: Option<String>,
}

/// What an event is called.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Occurrence {
    /// A task was submitted; not published where that was committed seconds later.
    TaskSubmitted,
    /// Its first step was claimed, or an operator moved one.
    TaskStarted,
    /// It came to an end: complete, error, cancelled or `resolved_manually`.
    TaskFinished,
    /// An operator put it in motion again after a failure.
    TaskReopened,
    /// A step was put in its queue.
    StepEnqueued,
    /// A worker started an attempt.
    StepStarted,
    /// A worker gave it back unstarted.
    StepReleased,
    /// Its handler returned a result.
    StepCompleted,
    /// An attempt failed.
    StepFailed,
    /// An operator gave a step that failed permanently another chance.
    StepReopened,
    /// Its task was cancelled before it ended.
    StepCancelled,
    /// An operator left it out.
    StepSkipped,
    /// An operator gave it its result.
    StepResolved,
}

/// The answer to one submitted task.
#[derive(ToSchema)]
pub(crate) struct Submitted {
    /// The task; the first one where its idempotency key was known.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    task_uuid: Uuid,
    /// Whether this request created it.
    created: bool,
    /// Whether that first task has another context than this request; false where it was created.
    context_differs: bool,
}

/// What to do where an idempotency key was used with another context.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum OnConflict {
    /// Answer with the task of its first use.
    Existing,
    /// Refuse with status 409.
    Reject,
}

/// A version of a template, without its body.
#[derive(ToSchema)]
pub(crate) struct TemplateSummary {
    /// Namespace whose workers run it.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name within the namespace.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version.
    #[schema(example = "1.0.0")]
    version: String,
    /// What it is for.
    #[schema(required)]
    description: Option<String>,
    /// How many steps it has.
    step_count: i32,
    /// When it was first applied.
    created_at: DateTime<Utc>,
}

/// A version of a template with everything it says.
#[derive(ToSchema)]
pub(crate) struct Template {
    /// Namespace whose workers run it.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name within the namespace.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version.
    #[schema(example = "1.0.0")]
    version: String,
    /// What it is for.
    #[schema(required)]
    description: Option<String>,
    /// How many steps it has.
    step_count: i32,
    /// When it was first applied.
    created_at: DateTime<Utc>,
    /// The template document with its defaults filled in.
    body: Value,
}

/// A namespace's queue and what lies in it.
#[derive(ToSchema)]
pub(crate) struct Queue {
    /// The namespace.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name of its queue.
    #[schema(example = "worker_fulfillment_queue")]
    queue_name: String,
    /// Messages in it, received ones included; null where it cannot be read.
    #[schema(required)]
    length: Option<i64>,
    /// Messages that a worker could receive now; null where it cannot be read.
    #[schema(required)]
    visible: Option<i64>,
    /// Age of the oldest message, in seconds; null when it is empty.
    #[schema(required)]
    oldest_message_age_seconds: Option<f64>,
    /// Live workers that take steps from it.
    workers: i32,
    /// How many steps these run at most, those of other namespaces included.
    places: i32,
    /// How many they ran when they were last seen.
    taken: i32,
    /// The steps in it that no live worker can run, by handler; a hundred handlers at most.
    without_worker: Vec<MissingHandler>,
    /// Why it cannot be read; null where it can.
    #[schema(required)]
    problem: Option<String>,
}

/// A handler that steps wait for and that no live worker knows.
#[derive(ToSchema)]
pub(crate) struct MissingHandler {
    /// Its name.
    #[schema(example = "payments.charge")]
    handler: String,
    /// How many steps wait for it; counted up to 1,000.
    steps: i32,
}

/// A process in one of its roles, as it was last seen.
#[derive(ToSchema)]
pub(crate) struct Process {
    /// Its name in logs and in the history of tasks.
    #[schema(example = "host-17-kqxmzj")]
    identity: String,
    /// What it does: `orchestrator` or `worker`.
    #[schema(example = "worker")]
    role: String,
    /// The machine or container it runs on.
    host: String,
    /// Its process id there.
    pid: i32,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: String,
    /// Its deployment mode.
    #[schema(example = "Hybrid")]
    mode: String,
    /// The namespaces it serves; none are named where it serves all.
    namespaces: Vec<String>,
    /// The handlers that a worker knows.
    #[schema(example = json!(["builtin.noop", "payments.charge"]))]
    handlers: Vec<String>,
    /// How many handlers a worker runs at most, 0 while it drains; null for an orchestrator.
    #[schema(required)]
    places: Option<i32>,
    /// How many of them it ran when it was last seen; null for an orchestrator.
    #[schema(required)]
    taken: Option<i32>,
    /// When it started.
    started_at: DateTime<Utc>,
    /// When it last reported that it lives.
    last_seen_at: DateTime<Utc>,
    /// How long ago that was, on the database's clock.
    last_seen_seconds_ago: f64,
    /// Whether it was not seen for 30 s: it was killed, or does not reach the database.
    silent: bool,
}

/// A channel between tasks of the server's process.
#[derive(ToSchema)]
pub(crate) struct Channel {
    /// The channel's name.
    name: String,
    /// The part of the product that receives from it.
    component: String,
    /// Most messages that wait in it.
    capacity: usize,
    /// Messages waiting.
    len: usize,
    /// Most bytes that wait in it; null where only messages count.
    #[schema(required)]
    max_bytes: Option<usize>,
    /// Bytes waiting, where they count.
    bytes: usize,
    /// The nearer of both bounds, in percent of it.
    usage_percent: f64,
    /// The highest usage of late, from 0 to 1.
    saturation: f64,
    /// Most messages that ever waited.
    high_water: usize,
    /// Messages sent.
    sent_total: u64,
    /// Messages received.
    received_total: u64,
    /// Sends that found the channel full and waited.
    blocked_total: u64,
    /// Sends that found the channel full and got the message back.
    refused_total: u64,
    /// Messages that the channel's policy dropped.
    dropped_total: u64,
}
