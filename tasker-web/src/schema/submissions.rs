//! Answers to submissions, and what may be asked of them.

use utoipa::ToSchema;
use uuid::Uuid;

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
