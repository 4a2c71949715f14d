//! What processes tell about themselves, and which steps none of them can run.
//!
//! Nothing is decided from it: a process that is killed is listed for a while, and one that does not
//! reach the database is not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::{DeploymentMode, host_name};
use crate::error::Error;
use crate::steps::milliseconds;

/// What a process does in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Finds ready steps and puts them in queues.
    Orchestrator,
    /// Receives steps and runs their handlers.
    Worker,
}

impl Role {
    /// The name, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Worker => "worker",
        }
    }
}

/// What a process is in one of its roles, as long as it runs.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its name in logs and in the history of tasks.
    pub identity: String,
    /// What it does.
    pub role: Role,
    /// How it finds work.
    pub mode: DeploymentMode,
    /// The namespaces it serves; empty: all.
    pub namespaces: Vec<String>,
    /// The handlers that a worker knows.
    pub handlers: Vec<String>,
}

/// How many handlers a worker may run, and how many it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// How many may run at the same time; 0 while it drains.
    pub offered: usize,
    /// How many run.
    pub taken: usize,
}

/// Whether a live orchestrator listens for one of these namespaces; for any, where none is given.
pub async fn has_listener(
    connection: &mut PgConnection,
    namespaces: &[String],
) -> Result<bool, Error> {
    Ok(sqlx::query_scalar("select tasker.has_listener($1)")
        .bind((!namespaces.is_empty()).then_some(namespaces))
        .fetch_one(connection)
        .await?)
}

/// Writes what a process is, under an identity of this very start of it.
pub async fn register(
    connection: &mut PgConnection,
    registration_uuid: Uuid,
    process: &Process,
    places: Option<Places>,
    running_for: Duration,
) -> Result<(), Error> {
    let (offered, taken) = columns(places);
    sqlx::query(
        "select tasker.register_process($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(registration_uuid)
    .bind(&process.identity)
    .bind(process.role.as_str())
    .bind(host_name())
    .bind(i32::try_from(std::process::id()).unwrap_or(i32::MAX))
    .bind(env!("CARGO_PKG_VERSION"))
    .bind(process.mode.as_str())
    .bind(&process.namespaces)
    .bind(&process.handlers)
    .bind(offered)
    .bind(taken)
    .bind(milliseconds(running_for))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a process lives; false where it has to register, first or again.
pub async fn seen(
    connection: &mut PgConnection,
    registration_uuid: Uuid,
    places: Option<Places>,
) -> Result<bool, Error> {
    let (offered, taken) = columns(places);
    Ok(sqlx::query_scalar("select tasker.process_seen($1, $2, $3)")
        .bind(registration_uuid)
        .bind(offered)
        .bind(taken)
        .fetch_one(connection)
        .await?)
}

/// Removes a process that leaves.
pub async fn deregister(
    connection: &mut PgConnection,
    registration_uuid: Uuid,
) -> Result<(), Error> {
    sqlx::query("select tasker.deregister_process($1)")
        .bind(registration_uuid)
        .execute(connection)
        .await?;
    Ok(())
}

fn columns(places: Option<Places>) -> (Option<i32>, Option<i32>) {
    let column = |number| i32::try_from(number).unwrap_or(i32::MAX);
    (
        places.map(|places| column(places.offered)),
        places.map(|places| column(places.taken)),
    )
}

/// A process in one of its roles, as it was last seen.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[schema(as = Process)]
pub struct ProcessSummary {
    /// Its name in logs and in the history of tasks.
    #[schema(example = "host-17-kqxmzj")]
    pub identity: String,
    /// What it does: `orchestrator` or `worker`.
    #[schema(example = "worker")]
    pub role: String,
    /// The machine or container it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i32,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// Its deployment mode.
    #[schema(example = "Hybrid")]
    pub mode: String,
    /// The namespaces it serves; none are named where it serves all.
    pub namespaces: Vec<String>,
    /// The handlers that a worker knows.
    #[schema(example = json!(["builtin.noop", "payments.charge"]))]
    pub handlers: Vec<String>,
    /// How many handlers a worker runs at most, 0 while it drains; null for an orchestrator.
    #[schema(required)]
    pub places: Option<i32>,
    /// How many of them it ran when it was last seen; null for an orchestrator.
    #[schema(required)]
    pub taken: Option<i32>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last reported that it lives.
    pub last_seen_at: DateTime<Utc>,
    /// How long ago that was, on the database's clock.
    pub last_seen_seconds_ago: f64,
    /// Whether it was not seen for 30 s: it was killed, or does not reach the database.
    pub silent: bool,
}

/// The processes that are known, orchestrators first, by name.
pub async fn list_processes(connection: &mut PgConnection) -> Result<Vec<ProcessSummary>, Error> {
    Ok(sqlx::query_as("select * from tasker.list_processes()")
        .fetch_all(connection)
        .await?)
}

/// Steps that wait for a handler which no live worker of their namespace knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct StepsWithoutWorker {
    /// The namespace.
    pub namespace: String,
    /// The handler.
    pub handler: String,
    /// How many steps wait for it; counted up to 1,000.
    pub steps: i32,
}

/// The steps that are enqueued and that no live worker can run, in these namespaces; in all where
/// none is given.
pub async fn steps_without_worker(
    connection: &mut PgConnection,
    namespaces: &[String],
) -> Result<Vec<StepsWithoutWorker>, Error> {
    let namespaces = (!namespaces.is_empty()).then_some(namespaces);
    Ok(
        sqlx::query_as("select * from tasker.steps_without_worker($1)")
            .bind(namespaces)
            .fetch_all(connection)
            .await?,
    )
}
