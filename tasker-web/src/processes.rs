//! The processes that are known.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tasker_shared::processes::{self, ProcessSummary};
use utoipa::ToSchema;

use crate::extract::NoParams;
use crate::problem::Problem;
use crate::state::WebState;

/// The processes that run, and those that were lately lost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Processes {
    /// The processes, by role and name; one that plays two roles is there twice.
    processes: Vec<ProcessSummary>,
}

/// List the processes
///
/// Each reports every ten seconds. One that stops is gone at once, one that was killed is
/// silent after thirty seconds and gone after sixty.
#[utoipa::path(
    get,
    path = "/v1/processes",
    tag = "processes",
    responses((status = 200, body = Processes, description = "Orchestrators and workers.")),
)]
pub(crate) async fn list_processes(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Json<Processes>, Problem> {
    let processes = state
        .database
        .call("list_processes", async |connection| {
            processes::list_processes(connection).await
        })
        .await?;
    Ok(Json(Processes { processes }))
}
