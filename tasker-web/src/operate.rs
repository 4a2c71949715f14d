//! Tasks and steps, moved by operators.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::tasks::{TaskDetail, get_task};
use utoipa::ToSchema;

use crate::extract::{OptionalJsonBody, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::steps::StepPath;
use crate::storable_json::{refuse_unstorable, refuse_unstorable_text};
use crate::tasks::{no_task, parse_task_uuid};

/// Who the transition log says moved a task or step through this API.
pub(crate) const ACTOR: &str = "operator:rest";

/// Longest reason.
const MAX_REASON_CHARACTERS: usize = 2000;

/// Why an operator does what they do.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonRequest {
    /// Kept in the history.
    #[schema(example = "the customer called", max_length = 2000)]
    reason: Option<String>,
}

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

/// Retry the failed steps of a task
///
/// Each gets fresh attempts, and the task goes on. A task of which no step failed is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/retry",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task")),
    request_body = Option<ReasonRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn retry_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    operate(&state, &task_uuid, Action::RetryTask, request.reason).await
}

/// Cancel a task
///
/// What is not started never starts; handlers that run are told. A task that is cancelled already
/// stays as it is; one that ended otherwise is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/cancel",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task")),
    request_body = Option<ReasonRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn cancel_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    operate(&state, &task_uuid, Action::CancelTask, request.reason).await
}

/// Mark a failed task as dealt with elsewhere
///
/// A task that is not in `error` is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/resolve",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task")),
    request_body = Option<ReasonRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn resolve_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    operate(&state, &task_uuid, Action::ResolveTask, request.reason).await
}

/// Run a failed step again
///
/// The step gets a fresh set of attempts. One that waits for its retry is run at once. Any other
/// state is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/retry",
    tag = "steps",
    params(StepPath),
    request_body = Option<ReasonRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn retry_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<StepPath>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let action = Action::RetryStep(&path.step_name);
    operate(&state, &path.task_uuid, action, request.reason).await
}

/// Leave a step out
///
/// The steps that depend on it go on as if it had completed with the given result. A step that
/// runs or has ended well is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/skip",
    tag = "steps",
    params(StepPath),
    request_body = Option<SettlementRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn skip_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<StepPath>,
    OptionalJsonBody(request): OptionalJsonBody<SettlementRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let settlement = Settlement::Skip(request.result);
    settle(&state, &path, &settlement, request.reason).await
}

/// Give a step its result by hand
///
/// For what was done outside of the system. A step that runs or has ended well is a conflict.
#[utoipa::path(
    post,
    path = "/v1/tasks/{task_uuid}/steps/{step_name}/resolve",
    tag = "steps",
    params(StepPath),
    request_body = Option<SettlementRequest>,
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn resolve_step(
    State(state): State<WebState>,
    PathParts(path): PathParts<StepPath>,
    OptionalJsonBody(request): OptionalJsonBody<SettlementRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let settlement = Settlement::Resolve(request.result);
    settle(&state, &path, &settlement, request.reason).await
}

async fn settle(
    state: &WebState,
    path: &StepPath,
    settlement: &Settlement,
    reason: Option<String>,
) -> Result<Json<TaskDetail>, Problem> {
    refuse_unstorable("result", settlement.result())?;
    let action = Action::SettleStep(&path.step_name, settlement);
    operate(state, &path.task_uuid, action, reason).await
}

/// Does what an operator wants and looks at the task, in one transaction.
async fn operate(
    state: &WebState,
    task_uuid: &str,
    action: Action<'_>,
    reason: Option<String>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(task_uuid)?;
    let reason = reason.as_deref();
    check_reason(reason)?;
    let task = state
        .database
        .call(action.name(), async |connection| {
            let mut transaction = sqlx::Connection::begin(connection).await?;
            action
                .carry_out(&mut transaction, task_uuid, ACTOR, reason)
                .await?;
            let task = get_task(&mut transaction, task_uuid).await?;
            transaction.commit().await?;
            Ok(task)
        })
        .await?;
    task.map(Json).ok_or_else(|| no_task(task_uuid))
}

/// Refuses a reason that cannot be kept: it is written to the history of every step it moves.
pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), Problem> {
    refuse_unstorable_text("reason", reason)?;
    let length = reason.map_or(0, |reason| reason.chars().count());
    if length > MAX_REASON_CHARACTERS {
        let message = format!("it has {length} characters, of {MAX_REASON_CHARACTERS} at most");
        return Err(Problem::mistake("reason", message));
    }
    Ok(())
}
