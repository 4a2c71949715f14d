//! What an operator does to tasks and steps by hand.
//!
//! These calls are rare, so the triggers announce what they bring about, inside the transaction.

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::{StepState, TaskState};

/// What an operator does to a task or one of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action<'a> {
    /// Cancels the task: what is not started never starts, running handlers are told at their next
    /// heartbeat or by the announcement. A conflict when it already ended well or was cancelled.
    CancelTask,
    /// Marks a failed task as dealt with outside of the system. A conflict when it is not in `error`.
    ResolveTask,
    /// Runs all failed steps of the task again with fresh attempts. A conflict when there is none.
    RetryTask,
    /// Runs a failed step again with a fresh set of attempts, or one that waits for its retry at
    /// once. A conflict when it is in another state.
    RetryStep(&'a str),
    /// Settles a step that is not running, so that its dependents can go on. A conflict when it runs
    /// or has ended.
    SettleStep(&'a str, &'a Settlement),
}

/// How an operator settles a step without its handler.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Leave it out; dependents see this result, `null` as a rule.
    Skip(Value),
    /// It was done by hand, with this result.
    Resolve(Value),
}

impl Settlement {
    /// What dependents see as the step's result.
    pub const fn result(&self) -> &Value {
        let (Self::Skip(result) | Self::Resolve(result)) = self;
        result
    }
}

impl Action<'_> {
    /// The name of the call.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CancelTask => "cancel_task",
            Self::ResolveTask => "resolve_task",
            Self::RetryTask => "retry_task",
            Self::RetryStep(_) => "retry_step",
            Self::SettleStep(..) => "settle_step",
        }
    }

    /// Does what an operator decided, and writes who decided it and why to the history.
    ///
    /// # Errors
    /// Not-found, or a conflict with the state that the task or the step is in.
    pub async fn carry_out(
        self,
        connection: &mut PgConnection,
        task_uuid: TaskUuid,
        actor: &str,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let call = |sql: &'static str| sqlx::query(sql).bind(task_uuid);
        let call = match self {
            Self::CancelTask => call("select tasker.cancel_task($1, $2, $3)"),
            Self::ResolveTask => call("select tasker.resolve_task($1, $2, $3)"),
            Self::RetryTask => call("select tasker.retry_task($1, $2, $3)"),
            Self::RetryStep(step) => call("select tasker.retry_step($1, $2, $3, $4)").bind(step),
            Self::SettleStep(step, settlement) => {
                let settle =
                    "select tasker.settle_step($1, $2, $3::text::tasker.step_state, $4, $5, $6)";
                let state = match settlement {
                    Settlement::Skip(_) => StepState::Skipped,
                    Settlement::Resolve(_) => StepState::ResolvedManually,
                };
                let result = settlement.result();
                call(settle).bind(step).bind(state.as_str()).bind(result)
            }
        };
        call.bind(actor).bind(reason).execute(connection).await?;
        Ok(())
    }
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
