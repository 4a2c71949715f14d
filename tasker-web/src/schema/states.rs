//! Where tasks and steps stand, and what they wait for.

use utoipa::ToSchema;

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

/// What a step waits for that the engine cannot bring about.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum WaitsFor {
    /// A worker that knows its handler: no live one of its namespace does. It costs no attempt, and
    /// ends as soon as such a worker runs.
    WorkerForHandler,
}
