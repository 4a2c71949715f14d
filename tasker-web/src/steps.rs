//! Steps, looked at.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tasker_shared::tasks::{self, StepDetail};
use utoipa::IntoParams;

use crate::extract::{NoParams, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::tasks::parse_task_uuid;

/// Which step a path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct StepPath {
    /// Identity of the task
    #[param(value_type = Uuid)]
    pub(crate) task_uuid: String,
    /// Name of the step
    pub(crate) step_name: String,
}

/// Show a step with its result
///
/// Its result is there however large it is, also where the task is answered without results.
#[utoipa::path(
    get,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}",
    tag = "steps",
    params(StepPath),
    responses(
        (status = 200, body = StepDetail, description = "The step as it is now."),
    ),
)]
pub(crate) async fn show_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<StepPath>,
    _: NoParams,
) -> Result<Json<StepDetail>, Problem> {
    let task_uuid = parse_task_uuid(&path.task_uuid)?;
    let step = state
        .database
        .call("get_step", async |connection| {
            tasks::get_step(connection, task_uuid, &path.step_name).await
        })
        .await?;
    Ok(Json(step))
}
