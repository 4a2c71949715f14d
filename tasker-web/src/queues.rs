//! The namespaces' queues.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tasker_shared::queues::{self, QueueSummary};
use utoipa::ToSchema;

use crate::extract::NoParams;
use crate::problem::Problem;
use crate::state::WebState;

/// The queues of all namespaces.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queues {
    /// The queues, by namespace.
    queues: Vec<QueueSummary>,
}

/// List the queues
#[utoipa::path(
    get,
    path = "/v1/queues",
    tag = "queues",
    responses((status = 200, body = Queues, description = "The queue of every namespace.")),
)]
pub(crate) async fn list_queues(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Json<Queues>, Problem> {
    let queues = state
        .database
        .call("list_queues", async |connection| {
            queues::list_queues(connection).await
        })
        .await?;
    Ok(Json(Queues { queues }))
}
