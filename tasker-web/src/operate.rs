//! Tasks, moved by operators.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator;
use tasker_shared::tasks::{TaskDetail, get_task};
use utoipa::ToSchema;

use crate::extract::{OptionalJsonBody, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::storable_json::refuse_unstorable_text;
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
    pub(crate) reason: Option<String>,
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
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
pub(crate) async fn cancel_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let reason = request.reason.as_deref();
    check_reason(reason)?;
    operate(&state, "cancel_task", task_uuid, async |connection| {
        operator::cancel_task(connection, task_uuid, ACTOR, reason).await
    })
    .await
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
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    ),
)]
pub(crate) async fn resolve_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    OptionalJsonBody(request): OptionalJsonBody<ReasonRequest>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let reason = request.reason.as_deref();
    check_reason(reason)?;
    operate(&state, "resolve_task", task_uuid, async |connection| {
        operator::resolve_task(connection, task_uuid, ACTOR, reason).await
    })
    .await
}

/// Does what an operator wants and looks at the task, in one transaction.
pub(crate) async fn operate(
    state: &WebState,
    call: &'static str,
    task_uuid: TaskUuid,
    action: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<(), Error>,
) -> Result<Json<TaskDetail>, Problem> {
    let task = state
        .database
        .call(call, async |connection| {
            let mut transaction = sqlx::Connection::begin(connection).await?;
            action(&mut transaction).await?;
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
