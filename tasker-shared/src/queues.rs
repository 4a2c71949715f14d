//! The queues of the namespaces, as operators see them.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::Error;

mod guard;
mod troubles;

pub use guard::Guard;
pub(crate) use guard::may_be_of_a_queue;
pub use troubles::QueueTroubles;

/// A namespace's queue and what lies in it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct QueueSummary {
    /// The namespace.
    pub namespace: String,
    /// Name of its queue.
    pub queue_name: String,
    /// Messages in it, received ones included; `None` where it cannot be read.
    pub length: Option<i64>,
    /// Messages that a worker could receive now; `None` where it cannot be read.
    pub visible: Option<i64>,
    /// Age of the oldest message, in seconds; `None` when it is empty.
    pub oldest_message_age_seconds: Option<f64>,
    /// Live workers that take steps from it.
    pub workers: i32,
    /// How many steps these run at most, those of other namespaces included.
    pub places: i32,
    /// How many they ran when they were last seen.
    pub taken: i32,
    /// The steps in it that no live worker can run.
    pub without_worker: Json<Vec<MissingHandler>>,
    /// Why it cannot be read, where it cannot.
    pub problem: Option<String>,
}

/// A handler that steps wait for and that no live worker knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingHandler {
    /// Its name.
    pub handler: String,
    /// How many steps wait for it; counted up to 1,000.
    pub steps: i32,
}

/// Every namespace's queue, by name.
pub async fn list_queues(connection: &mut PgConnection) -> Result<Vec<QueueSummary>, Error> {
    Ok(sqlx::query_as("select * from tasker.list_queues()")
        .fetch_all(connection)
        .await?)
}

/// The names of all namespaces.
pub async fn list_namespaces(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    Ok(
        sqlx::query_scalar("select namespace from tasker.namespaces order by namespace")
            .fetch_all(connection)
            .await?,
    )
}
