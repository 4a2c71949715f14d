//! Steps, looked at, and moved by operators.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::tasks::{self, StepDetail, TaskDetail};
use utoipa::ToSchema;

use crate::extract::{NoParams, OptionalJsonBody, PathParts};
use crate::operate::{ACTOR, ReasonRequest, check_reason, operate};
use crate::problem::Problem;
use crate::state::WebState;
use crate::storable_json::refuse_unstorable;
use crate::tasks::parse_task_uuid;

/// How an operator settles a step.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettlementRequest {
    /// Kept in the history.
    #[schema(example = "paid by bank transfer", max_length = 2000)]
    reason: Option<String>,
    /// What the steps that depend on it see as its result; null where none is given.
    #[serde(default)]
    #[schema(required = false, example = json!({"paid": true}))]
    result: Value,
}

/// Show a step with its result
///
/// Its result is there however large it is, also where the task is answered without results.
#[utoipa::path(
    get,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}",
    tag = "steps",
    params(
        ("task_uuid" = Uuid, Path, description = "Identity of the task"),
        ("step_name" = String, Path, description = "Name of the step"),
    ),
    responses(
        (status = 200, body = StepDetail, description = "The step as it is now."),
        (status = 404, response = Problem),
    ),
)]
pub(crate) async fn show_step(
    State(state): State<WebState>,
    PathParts((task_uuid, step_name)): PathParts<(String, String)>,
    _: NoParams,
) -> Result<Json<StepDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let step = state
        .database
        .call("get_step", async |connection| {
            tasks::get_step(connection, task_uuid, &step_name).await
        })
        .await?;
    Ok(Json(step))
}

/// Run a failed step again
///
/// The step gets a fresh set of attempts. One that waits for its retry is run at once. Any other
/// state is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/retry",
    tag = "steps",
    params(
        ("task_uuid" = Uuid, Path, description = "Identity of the task"),
        ("step_name" = String, Path, description = "Name of the step"),
    ),
    request_body = Option<ReasonRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
pub(crate) async fn retry_step(
    State(state): State<WebState>,
    PathParts((task_uuid, step_name)): PathParts<(String, String)>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let reason = request.reason.as_deref();
    check_reason(reason)?;
    operate(&state, "retry_step", task_uuid, async |connection| {
        operator::retry_step(connection, task_uuid, &step_name, ACTOR, reason).await
    })
    .await
}

/// Leave a step out
///
/// The steps that depend on it go on as if it had completed with the given result. A step that
/// runs or has ended well is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/skip",
    tag = "steps",
    params(
        ("task_uuid" = Uuid, Path, description = "Identity of the task"),
        ("step_name" = String, Path, description = "Name of the step"),
    ),
    request_body = Option<SettlementRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
pub(crate) async fn skip_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<(String, String)>,
    OptionalJsonBody(request): OptionalJsonBody<SettlementRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let reason = request.reason.as_deref();
    settle(&state, path, &Settlement::Skip(request.result), reason).await
}

/// Give a step its result by hand
///
/// For what was done outside of the system. A step that runs or has ended well is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/resolve",
    tag = "steps",
    params(
        ("task_uuid" = Uuid, Path, description = "Identity of the task"),
        ("step_name" = String, Path, description = "Name of the step"),
    ),
    request_body = Option<SettlementRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
pub(crate) async fn resolve_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<(String, String)>,
    OptionalJsonBody(request): OptionalJsonBody<SettlementRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let reason = request.reason.as_deref();
    settle(&state, path, &Settlement::Resolve(request.result), reason).await
}

async fn settle(
    state: &WebState,
    (task_uuid, step_name): (String, String),
    settlement: &Settlement,
    reason: Option<&str>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    check_reason(reason)?;
    let (Settlement::Skip(result) | Settlement::Resolve(result)) = settlement;
    refuse_unstorable("result", result)?;
    operate(state, "settle_step", task_uuid, async |connection| {
        operator::settle_step(connection, task_uuid, &step_name, settlement, ACTOR, reason).await
    })
    .await
}
