//! The queues of the namespaces, as operators see them.

use serde::Serialize;
use sqlx::PgConnection;

use crate::error::Error;

mod troubles;

pub use troubles::QueueTroubles;

/// A namespace's queue and what lies in it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct QueueSummary {
    /// The namespace.
    pub namespace: String,
    /// Name of its queue.
    pub queue_name: String,
    /// Messages in it, received ones included.
    pub length: i64,
    /// Messages that a worker could receive now.
    pub visible: i64,
    /// Age of the oldest message, in seconds; `None` when it is empty.
    pub oldest_message_age_seconds: Option<f64>,
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
