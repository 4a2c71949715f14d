//! The queues of the namespaces, as operators see them.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::error::Error;
use crate::why::Cause;

mod guard;
mod troubles;

pub use guard::Guard;
pub(crate) use guard::may_be_of_a_queue;
pub use troubles::QueueTroubles;

/// A namespace's queue and what lies in it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[schema(as = Queue)]
pub struct QueueSummary {
    /// The namespace.
    #[schema(example = "fulfillment")]
    pub namespace: String,
    /// Name of its queue.
    #[schema(example = "worker_fulfillment_queue")]
    pub queue_name: String,
    /// Messages in it, received ones included; null where it cannot be read.
    #[schema(required)]
    pub length: Option<i64>,
    /// Messages that a worker could receive now; null where it cannot be read.
    #[schema(required)]
    pub visible: Option<i64>,
    /// Age of the oldest message, in seconds; null when it is empty.
    #[schema(required)]
    pub oldest_message_age_seconds: Option<f64>,
    /// Live workers that take steps from it.
    pub workers: i32,
    /// How many steps these run at most, those of other namespaces included.
    pub places: i32,
    /// How many they ran when they were last seen.
    pub taken: i32,
    /// The steps in it that no live worker can run, by handler; a hundred handlers at most.
    #[schema(value_type = Vec<MissingHandler>)]
    pub without_worker: Json<Vec<MissingHandler>>,
    /// Why it cannot be read; null where it can.
    #[schema(required)]
    pub problem: Option<String>,
}

/// A handler that steps wait for and that no live worker knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingHandler {
    /// Its name.
    #[schema(example = "payments.charge")]
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

/// A queue that cannot be used at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueueTrouble {
    /// The namespace.
    pub namespace: String,
    /// What is wrong.
    pub cause: Cause,
    /// The same in words.
    pub detail: String,
    /// What a person can do; null where it passes by itself.
    pub action: Option<String>,
}

/// The queues that cannot be used at the moment, by namespace.
pub async fn queue_troubles(connection: &mut PgConnection) -> Result<Vec<QueueTrouble>, Error> {
    let rows: Vec<Json<QueueTrouble>> =
        sqlx::query_scalar("select to_jsonb(q) from tasker.queue_troubles() q")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|Json(trouble)| trouble).collect())
}

/// The names of all namespaces.
pub async fn list_namespaces(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    Ok(
        sqlx::query_scalar("select namespace from tasker.namespaces order by namespace")
            .fetch_all(connection)
            .await?,
    )
}
