//! What the database holds at the moment, for the gauges that alerts and autoscalers read.
//!
//! Counts are bounded and nothing is read of what has ended; see `tasker.database_gauges`.

use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;

/// The database as the gauges show it.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub struct DatabaseGauges {
    /// What is to be done, by namespace.
    pub backlogs: Json<Vec<Backlog>>,
    /// Orchestrators that were seen within half a minute.
    pub live_orchestrators: i32,
    /// Workers that were.
    pub live_workers: i32,
    /// Processes that were not, and have not left.
    pub silent: Json<Vec<SilentProcess>>,
    /// The part of the queue of notifications that is in use, from 0 to 1.
    pub notification_queue_usage: f64,
    /// Age of the oldest transaction that keeps vacuum from its work.
    pub held_back_seconds: f64,
    /// Transactions that began since the oldest that any session still sees.
    pub held_back_transactions: i64,
}

/// What is to be done in one namespace. What is in its queue is not known where that cannot be read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Backlog {
    /// The namespace.
    pub namespace: String,
    /// Steps that wait to be claimed; counted up to the bound asked for, like all that follow.
    pub ready_steps: i64,
    /// For how long the oldest of them has been ready.
    pub oldest_ready_seconds: f64,
    /// Messages in the queue, received ones included.
    pub queue_depth: Option<i64>,
    /// Messages that a worker could receive now.
    pub waiting_steps: Option<i64>,
    /// For how long the oldest of them has been in the queue.
    pub oldest_waiting_seconds: Option<f64>,
    /// Steps that have been ready for more than a minute.
    pub overdue_claims: i64,
    /// Retries that were due more than a minute ago.
    pub overdue_retries: i64,
    /// Steps that their worker lost or gave back more than a minute ago, and no other received.
    pub overdue_leases: Option<i64>,
}

/// A process that stopped reporting without leaving.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SilentProcess {
    /// Names this start of it.
    pub registration_uuid: Uuid,
    /// `orchestrator` or `worker`.
    pub role: String,
}

/// Counts up to which the gauges go.
pub const MOST: i32 = 10_000;

/// Reads what the gauges show, counted up to [`MOST`].
pub async fn database_gauges(connection: &mut PgConnection) -> Result<DatabaseGauges, Error> {
    Ok(sqlx::query_as("select * from tasker.database_gauges()")
        .fetch_one(connection)
        .await?)
}

/// The same, counted up to `most`: what people look at every few seconds.
pub async fn bounded_gauges(
    connection: &mut PgConnection,
    most: i32,
) -> Result<DatabaseGauges, Error> {
    Ok(sqlx::query_as("select * from tasker.bounded_gauges($1)")
        .bind(most)
        .fetch_one(connection)
        .await?)
}
