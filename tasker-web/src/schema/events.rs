//! What happened: the history of a task, and events as they happen.

use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

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
