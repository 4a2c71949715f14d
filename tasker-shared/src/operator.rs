//! What an operator does to tasks and steps by hand.
//!
//! These calls are rare, so the triggers announce what they bring about, inside the transaction.

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::TaskState;

/// Cancels a task: what is not started never starts, running handlers are told at their next
/// heartbeat or by the announcement.
///
/// # Errors
/// Not-found, or a conflict when the task already ended well or was cancelled.
pub async fn cancel_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    actor: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    sqlx::query("select tasker.cancel_task($1, $2, $3)")
        .bind(task_uuid)
        .bind(actor)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Marks a failed task as dealt with outside of the system.
///
/// # Errors
/// Not-found, or a conflict when the task is not in `error`.
pub async fn resolve_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    actor: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    sqlx::query("select tasker.resolve_task($1, $2, $3)")
        .bind(task_uuid)
        .bind(actor)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs a failed step again with a fresh set of attempts, or one that waits for its retry at once.
///
/// # Errors
/// Not-found, or a conflict when the step is in another state.
pub async fn retry_step(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: &str,
    actor: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    sqlx::query("select tasker.retry_step($1, $2, $3, $4)")
        .bind(task_uuid)
        .bind(step_name)
        .bind(actor)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// How an operator settles a step without its handler.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Leave it out; dependents see this result, `null` as a rule.
    Skip(Value),
    /// It was done by hand, with this result.
    Resolve(Value),
}

/// Settles a step that is not running, so that its dependents can go on.
///
/// # Errors
/// Not-found, or a conflict when the step runs or has ended.
pub async fn settle_step(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: &str,
    settlement: &Settlement,
    actor: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    let (state, result) = match settlement {
        Settlement::Skip(result) => ("skipped", result),
        Settlement::Resolve(result) => ("resolved_manually", result),
    };
    sqlx::query("select tasker.settle_step($1, $2, $3::text::tasker.step_state, $4, $5, $6)")
        .bind(task_uuid)
        .bind(step_name)
        .bind(state)
        .bind(result)
        .bind(actor)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// What became of a task that was to be ended because nothing of it can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finalization {
    /// Whether this call ended it; false where it has steps that can move, or had ended.
    pub finalized: bool,
    /// The state it is in now.
    pub state: TaskState,
}

/// Ends a task of which nothing can move though it does not say so, and puts its counters right.
/// Such a task comes of rows that were changed by hand; of callers at once, one ends it.
///
/// # Errors
/// Not-found, or a conflict when its steps wait for each other for no reason.
pub async fn claim_task_for_finalization(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    processor: &str,
) -> Result<Finalization, Error> {
    let finalize =
        "select finalized, state::text as state from tasker.claim_task_for_finalization($1, $2)";
    let (finalized, state): (bool, String) = sqlx::query_as(finalize)
        .bind(task_uuid)
        .bind(processor)
        .fetch_one(connection)
        .await?;
    let state = state
        .parse()
        .map_err(|error| Error::Corrupt(format!("task {task_uuid}: {error}")))?;
    Ok(Finalization { finalized, state })
}
