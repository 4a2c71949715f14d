//! Why a task does not move.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tasker_shared::why::{Why, why};
use utoipa::IntoParams;

use crate::extract::{self, Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::tasks::parse_task_uuid;

/// Of which steps to answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhyParams {
    /// Only this step, and the one that it waits for in the end.
    #[serde(default, deserialize_with = "extract::name")]
    #[param(min_length = 1)]
    step: Option<String>,
}

/// Show what each step of a task waits for
///
/// Of each step that has not ended, and of those that failed: the one thing that it waits for, what this
/// was concluded from, and what can be done. A step that waits for others names the root of its wait. Of
/// more than 1,000 such steps those come first that wait for no other.
#[utoipa::path(
    get,
    path = "/v1/tasks/{task_uuid}/why",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task"), WhyParams),
    responses((status = 200, body = Why, description = "The reasons; none where all ended well.")),
)]
pub(crate) async fn why_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    Params(params): Params<WhyParams>,
) -> Result<Json<Why>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let why = state
        .database
        .call("why", async |connection| {
            why(connection, task_uuid, params.step.as_deref()).await
        })
        .await?;
    Ok(Json(why))
}
