//! What operators do to all tasks that match a filter.
//!
//! An act is noted first and then done in small batches, each a transaction, with pauses as long as the
//! batches, so that running tasks are not slowed down. The process that starts an act
//! carries it out; an orchestrator goes on with it where that process ends before.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::Database;
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::TaskState;
use crate::tasks::Condition;

/// Tasks of one batch at most.
pub const BATCH: i32 = 50;
/// Shortest pause between two batches.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// Pause before an act that another process has in hand is looked at again.
const PAUSE_BEHIND_ANOTHER: Duration = Duration::from_millis(500);
/// Tasks that are counted at most.
pub const MOST_COUNTED: i64 = 100_000;

/// What is done to each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Runs its failed steps again with fresh attempts; only the one that the filter names.
    Retry,
    /// Cancels it.
    Cancel,
    /// Marks it as dealt with elsewhere.
    Resolve,
}

impl BulkAction {
    /// What a name of the API means.
    pub fn read(name: &str) -> Option<Self> {
        [Self::Retry, Self::Cancel, Self::Resolve]
            .into_iter()
            .find(|action| action.as_str() == name)
    }

    /// The name, as the database and the API have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Resolve => "resolve",
        }
    }
}

/// Which tasks an act is about; what is left out does not restrict. Of tasks in `error` where `state` is
/// left out, which has to be given for `cancel` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkFilter {
    /// Tasks of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Tasks of templates of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tasks of this version of their template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Tasks in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// Tasks submitted at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Tasks submitted before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Tasks that were submitted with this idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Tasks of which a step of this name failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Tasks of which a step's error says this, in whatever case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tasks whose search values meet all of these: `PATH=VALUE`, `PATH^=BEGINNING`, `PATH<VALUE`, or with
    /// `<=`, `>` or `>=`. Templates name the paths.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, required = false, max_items = 8, example = json!(["order_id=42"]))]
    pub conditions: Vec<Condition>,
    /// These tasks, up to 500, whatever state they are in where `state` is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Uuid>>, min_items = 1, max_items = 500)]
    pub tasks: Option<Vec<TaskUuid>>,
}

/// How far an act has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    /// There may be more to do.
    Running,
    /// All that matched had its turn.
    Finished,
    /// An operator stopped it; what was done stays done.
    Stopped,
}

/// An act: what is, or was, done to all tasks that match. The history of each task names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkAct {
    /// Identity of the act.
    pub bulk_uuid: Uuid,
    /// What is done.
    pub action: BulkAction,
    /// To which tasks, of those that were submitted before it.
    pub filter: BulkFilter,
    /// Who started it.
    pub actor: String,
    /// Why.
    #[schema(required)]
    pub reason: Option<String>,
    /// How far it has come.
    pub state: BulkState,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    #[schema(required)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Tasks to which it was done.
    pub done: i64,
    /// Tasks that had moved on, so that it could not be done any more.
    pub refused: i64,
    /// Tasks that are as they were, because another transaction held them or their queue is in trouble.
    pub held: i64,
    /// Why one of those was refused or held.
    #[schema(required)]
    pub problem: Option<String>,
}

/// How many tasks match, [`MOST_COUNTED`] at most.
///
/// # Errors
/// A refusal where this filter is not for this action.
pub async fn count_matching_tasks(
    connection: &mut PgConnection,
    action: BulkAction,
    filter: &BulkFilter,
) -> Result<i64, Error> {
    Ok(
        sqlx::query_scalar("select tasker.count_matching_tasks($1, $2, $3)")
            .bind(action.as_str())
            .bind(sqlx::types::Json(filter))
            .bind(i32::try_from(MOST_COUNTED).unwrap_or(i32::MAX))
            .fetch_one(connection)
            .await?,
    )
}

/// Notes an act; nothing is done yet.
///
/// # Errors
/// A refusal where this filter is not for this action.
pub async fn start_bulk_act(
    connection: &mut PgConnection,
    action: BulkAction,
    filter: &BulkFilter,
    actor: &str,
    reason: Option<&str>,
) -> Result<Uuid, Error> {
    Ok(
        sqlx::query_scalar("select tasker.start_bulk_act($1, $2, $3, $4)")
            .bind(action.as_str())
            .bind(sqlx::types::Json(filter))
            .bind(actor)
            .bind(reason)
            .fetch_one(connection)
            .await?,
    )
}

/// An act as it is now; `None` for an unknown one.
pub async fn bulk_act(
    connection: &mut PgConnection,
    bulk_uuid: Uuid,
) -> Result<Option<BulkAct>, Error> {
    let act: Option<Value> = sqlx::query_scalar("select tasker.bulk_act($1)")
        .bind(bulk_uuid)
        .fetch_one(connection)
        .await?;
    act.map(decode).transpose()
}

/// The latest acts, at most so many.
pub async fn list_bulk_acts(
    connection: &mut PgConnection,
    limit: i32,
) -> Result<Vec<BulkAct>, Error> {
    let acts: Vec<Value> = sqlx::query_scalar("select tasker.list_bulk_acts($1)")
        .bind(limit)
        .fetch_all(connection)
        .await?;
    acts.into_iter().map(decode).collect()
}

/// Stops an act after the batch that is in hand; one that has ended stays as it is.
///
/// # Errors
/// Not-found.
pub async fn stop_bulk_act(
    connection: &mut PgConnection,
    bulk_uuid: Uuid,
) -> Result<BulkAct, Error> {
    let act: Value = sqlx::query_scalar("select tasker.stop_bulk_act($1)")
        .bind(bulk_uuid)
        .fetch_one(connection)
        .await?;
    decode(act)
}

/// Does the next batch of an act, of so many tasks at most; `None` where another process does.
///
/// # Errors
/// Not-found.
pub async fn continue_bulk_act(
    connection: &mut PgConnection,
    bulk_uuid: Uuid,
    batch: i32,
) -> Result<Option<BulkAct>, Error> {
    let act: Option<Value> = sqlx::query_scalar("select tasker.continue_bulk_act($1, $2)")
        .bind(bulk_uuid)
        .bind(batch)
        .fetch_one(connection)
        .await?;
    act.map(decode).transpose()
}

/// An act that no process goes on with.
pub async fn abandoned_bulk_act(connection: &mut PgConnection) -> Result<Option<Uuid>, Error> {
    Ok(sqlx::query_scalar("select tasker.abandoned_bulk_act()")
        .fetch_one(connection)
        .await?)
}

/// Goes on with an act until it has ended, and tells how far it has come after each batch; `None` where
/// `stop` came first, which lets the batch in hand end, or the act is gone. A batch that does not end
/// within the deadline of a call, because its tasks are large, is tried again with half as many.
///
/// A batch and the pause after it hold a permit of `turns`: acts that share these take turns, so that none
/// of them waits for the end of another.
pub async fn carry_out(
    database: &Database,
    bulk_uuid: Uuid,
    turns: &Semaphore,
    stop: &CancellationToken,
    mut progress: impl FnMut(&BulkAct),
) -> Result<Option<BulkAct>, Error> {
    let mut batch = BATCH;
    loop {
        // The first batch is done even where `stop` has come, if its turn has.
        let mut turn = tokio::select! {
            biased;
            permit = turns.acquire() => permit.ok(),
            () = stop.cancelled() => return Ok(None),
        };
        let started = Instant::now();
        let continued = database.call("continue_bulk_act", async |connection| {
            continue_bulk_act(connection, bulk_uuid, batch).await
        });
        let continued = match continued.await {
            Err(error) if error.is_transient() && stop.is_cancelled() => return Ok(None),
            Err(error) if error.is_transient() && batch > 1 => {
                batch /= 2;
                continue;
            }
            continued => continued?,
        };
        let (act, pause) = if let Some(act) = continued {
            batch = (batch * 2).min(BATCH);
            (Some(act), started.elapsed().max(SHORTEST_PAUSE))
        } else {
            turn = None;
            let read = database.call("bulk_act", async |connection| {
                bulk_act(connection, bulk_uuid).await
            });
            (read.await?, PAUSE_BEHIND_ANOTHER)
        };
        let Some(act) = act else {
            return Ok(None);
        };
        progress(&act);
        if act.state != BulkState::Running {
            return Ok(Some(act));
        }
        // As long as the batch took, so that the act uses half of one connection's time at most: what
        // it reads and writes is in the way of running tasks, more so on a database that is slow.
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(None);
        }
        drop(turn);
    }
}

fn decode(document: Value) -> Result<BulkAct, Error> {
    serde_json::from_value(document)
        .map_err(|error| Error::Corrupt(format!("tasker.bulk_act answered: {error}")))
}
