//! Why a task does not move: what each of its steps waits for, followed back to the root.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::StepState;

/// Steps that are explained at once.
const MOST_STEPS: usize = 1000;

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Steps it depends on have not ended well.
    WaitsForSteps,
    /// The time of its next attempt has not come.
    WaitsForRetry,
    /// It is ready, and no live orchestrator serves its namespace.
    NoOrchestrator,
    /// It is ready, and an orchestrator will claim it.
    WaitsToBeClaimed,
    /// It is ready, and nothing offers it to orchestrators: a broken invariant.
    NotOffered,
    /// Another transaction holds what has to be changed.
    Locked,
    /// Its queue is missing, or the index of it.
    QueueDamaged,
    /// Its queue lost its messages in a crash of the server and could not be filled again yet.
    QueueNotRefilled,
    /// It is enqueued, and its message is gone.
    MessageLost,
    /// It is enqueued, and its message is held back for a moment.
    MessageDelayed,
    /// It is enqueued, and no live worker serves its namespace.
    NoWorker,
    /// It is enqueued, and no live worker of its namespace knows its handler.
    UnknownHandler,
    /// It is enqueued, and the workers that know its handler are shutting down.
    WorkersDrain,
    /// It is enqueued, and the workers that know its handler have no place free.
    NoFreePlace,
    /// It is enqueued, and a worker will receive it.
    WaitsToBeReceived,
    /// Its handler runs.
    Running,
    /// Its handler has been running for longer than its timeout.
    PastTimeout,
    /// It was started by a worker that has not been seen for half a minute.
    WorkerLost,
    /// The lease of the worker that started it is over.
    LeaseOver,
    /// Its task was cancelled while it ran.
    BeingCancelled,
    /// It failed in a way that no attempt can mend.
    Failed,
    /// Its last attempt failed.
    AttemptsExhausted,
}

/// Why one step has not ended, or failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The step; null where nothing could be read of the task's steps, because of a lock.
    #[schema(required, example = "charge")]
    pub step_name: Option<String>,
    /// Where it stands; null where it could not be read.
    #[schema(required)]
    pub state: Option<StepState>,
    /// What it waits for.
    pub cause: Cause,
    /// The same in words.
    #[schema(example = "no worker serves the namespace shop")]
    pub detail: String,
    /// What a person can do; null where it passes by itself.
    #[schema(
        required,
        example = "start a worker that serves shop and knows payments.charge"
    )]
    pub action: Option<String>,
    /// The step that it waits for in the end: itself, unless it waits for others.
    #[schema(required, example = "charge")]
    pub root: Option<String>,
    /// What this was concluded from; what is in it depends on the cause.
    pub evidence: Value,
}

/// Why a task does not move.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The task.
    #[schema(value_type = Uuid)]
    pub task_uuid: TaskUuid,
    /// A reason for each step that has not ended or failed, those first that wait for no other step;
    /// none where all have ended well.
    pub reasons: Vec<Reason>,
    /// Whether there are more steps than reasons.
    pub has_more: bool,
}

/// Steps that wait for the same.
#[derive(Debug)]
pub struct Alike<'a> {
    /// The reasons of those that wait for no other step; they read the same. Never empty.
    pub roots: Vec<&'a Reason>,
    /// The reasons of those that wait for them.
    pub behind: Vec<&'a Reason>,
}

impl Why {
    /// The reasons, those together that read the same, with those that wait for them.
    pub fn alike(&self) -> Vec<Alike<'_>> {
        let mut groups: Vec<Alike<'_>> = Vec::new();
        let mut places = HashMap::new();
        let mut of_step = HashMap::new();
        let (waiting, roots): (Vec<_>, Vec<_>) = self
            .reasons
            .iter()
            .partition(|reason| reason.cause == Cause::WaitsForSteps);
        for reason in roots {
            let key = (reason.state, &reason.detail, &reason.action);
            let place = *places.entry(key).or_insert(groups.len());
            if place == groups.len() {
                let (roots, behind) = (Vec::new(), Vec::new());
                groups.push(Alike { roots, behind });
            }
            groups[place].roots.push(reason);
            of_step.insert(&reason.step_name, place);
        }
        for reason in waiting {
            if let Some(&place) = of_step.get(&reason.root) {
                groups[place].behind.push(reason);
            }
        }
        groups
    }
}

/// What the steps of a task wait for, or one of them and the root of its wait.
pub async fn why(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: Option<&str>,
) -> Result<Why, Error> {
    why_of_some(connection, task_uuid, step_name, MOST_STEPS).await
}

/// The same with so many reasons at most.
pub async fn why_of_some(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    step_name: Option<&str>,
    most: usize,
) -> Result<Why, Error> {
    let limit = i32::try_from(most.saturating_add(1)).unwrap_or(i32::MAX);
    let rows: Vec<Json<Reason>> =
        sqlx::query_scalar("select to_jsonb(w) from tasker.why($1, $2, $3) w")
            .bind(task_uuid)
            .bind(step_name)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    let has_more = rows.len() > most;
    let reasons = rows.into_iter().take(most).map(|Json(reason)| reason);
    Ok(Why {
        task_uuid,
        reasons: reasons.collect(),
        has_more,
    })
}
