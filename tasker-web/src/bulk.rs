//! What is done to all tasks that match a filter.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tasker_shared::bulk::{
    BulkAct, BulkAction, BulkFilter, MOST_COUNTED, bulk_act, carry_out, count_matching_tasks,
    list_bulk_acts, start_bulk_act, stop_bulk_act,
};
use tracing::warn;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::extract::{JsonBody, NoParams, PathParts};
use crate::operate::{ACTOR, check_reason};
use crate::problem::{Kind, Problem};
use crate::state::WebState;

/// Acts whose batches run at the same time in this process; with their pauses, they take one connection's
/// time. Further acts wait for their turn between two batches of others.
pub(crate) const BULK_TURNS: usize = 2;

/// Acts that are listed.
const LISTED: i32 = 50;

/// What to do to which tasks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkRequest {
    /// Which tasks.
    filter: BulkFilter,
    /// What to do.
    action: BulkAction,
    /// Kept with the act, and in the history of each task.
    #[schema(example = "the bank is back", max_length = 2000)]
    reason: Option<String>,
    /// Only count the tasks.
    #[serde(default)]
    #[schema(required = false)]
    dry_run: bool,
}

/// How many tasks it would be done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkCount {
    /// Tasks that match at this moment, up to 100,000.
    matches: i64,
    /// Whether there may be more.
    has_more: bool,
}

/// What was done to many tasks, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkActs {
    /// The latest acts, up to 50.
    pub(crate) acts: Vec<BulkAct>,
}

/// Do something to all tasks that match
///
/// With `dry_run` the answer is how many there are. Otherwise the act is noted, answered, and done in
/// the background in small batches; the path in `location` tells how far it has come. Tasks that are
/// submitted meanwhile are left out.
#[utoipa::path(
    post,
    path = "/v1/bulk",
    tag = "tasks",
    request_body = BulkRequest,
    responses(
        (status = 200, body = BulkCount, description = "How many match; nothing was done."),
        (status = 202, body = BulkAct, description = "It is under way."),
    ),
)]
pub(crate) async fn act_on_tasks(
    State(state): State<WebState>,
    JsonBody(request): JsonBody<BulkRequest>,
) -> Result<Response, Problem> {
    let BulkRequest {
        filter,
        action,
        reason,
        dry_run,
    } = request;
    check_reason(reason.as_deref())?;
    if dry_run {
        let matches = count(&state, action, &filter).await?;
        let has_more = matches == MOST_COUNTED;
        return Ok(Json(BulkCount { matches, has_more }).into_response());
    }
    let act = start(&state, action, &filter, ACTOR, reason.as_deref()).await?;
    let location = [("location", format!("/v1/bulk/{}", act.bulk_uuid))];
    Ok((StatusCode::ACCEPTED, location, Json(act)).into_response())
}

/// How many tasks it would be done to, up to [`MOST_COUNTED`].
pub(crate) async fn count(
    state: &WebState,
    action: BulkAction,
    filter: &BulkFilter,
) -> Result<i64, Problem> {
    let counted = state
        .database
        .call("count_matching_tasks", async |connection| {
            count_matching_tasks(connection, action, filter).await
        });
    Ok(counted.await?)
}

/// Notes an act and begins it.
pub(crate) async fn start(
    state: &WebState,
    action: BulkAction,
    filter: &BulkFilter,
    actor: &str,
    reason: Option<&str>,
) -> Result<BulkAct, Problem> {
    let started = state.database.call("start_bulk_act", async |connection| {
        let uuid = start_bulk_act(connection, action, filter, actor, reason).await?;
        bulk_act(connection, uuid).await
    });
    let act = started
        .await?
        .ok_or_else(|| Problem::internal("an act that was noted is gone"))?;
    go_on(state, act.bulk_uuid);
    Ok(act)
}

/// An orchestrator goes on where this process ends before the act does.
fn go_on(state: &WebState, bulk_uuid: Uuid) {
    let (database, stop) = (state.database.clone(), state.stop.clone());
    let turns = Arc::clone(&state.bulk_turns);
    drop(tokio::spawn(async move {
        if let Err(error) = carry_out(&database, bulk_uuid, &turns, &stop, |_| ()).await {
            warn!(%bulk_uuid, %error, "an orchestrator has to go on with a bulk act");
        }
    }));
}

/// List what was done to many tasks
#[utoipa::path(
    get,
    path = "/v1/bulk",
    tag = "tasks",
    responses((status = 200, body = BulkActs, description = "The latest acts.")),
)]
pub(crate) async fn list_acts(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Json<BulkActs>, Problem> {
    let listed = state.database.call("list_bulk_acts", async |connection| {
        list_bulk_acts(connection, LISTED).await
    });
    Ok(Json(BulkActs {
        acts: listed.await?,
    }))
}

/// Show how far an act has come
#[utoipa::path(
    get,
    path = "/v1/bulk/{bulk_uuid}",
    tag = "tasks",
    params(("bulk_uuid" = Uuid, Path, description = "Identity of the act")),
    responses((status = 200, body = BulkAct, description = "The act as it is now.")),
)]
pub(crate) async fn show_act(
    State(state): State<WebState>,
    PathParts(bulk_uuid): PathParts<String>,
    _: NoParams,
) -> Result<Json<BulkAct>, Problem> {
    let bulk_uuid = parse_bulk_uuid(&bulk_uuid)?;
    let read = state.database.call("bulk_act", async |connection| {
        bulk_act(connection, bulk_uuid).await
    });
    let unknown = || Problem::new(Kind::NotFound, format!("there is no bulk act {bulk_uuid}"));
    Ok(Json(read.await?.ok_or_else(unknown)?))
}

/// Stop an act
///
/// The batch that is in hand is done; what was done stays done.
#[utoipa::path(
    post,
    path = "/v1/bulk/{bulk_uuid}/stop",
    tag = "tasks",
    params(("bulk_uuid" = Uuid, Path, description = "Identity of the act")),
    responses((status = 200, body = BulkAct, description = "The act as it is now.")),
)]
pub(crate) async fn stop_act(
    State(state): State<WebState>,
    PathParts(bulk_uuid): PathParts<String>,
    _: NoParams,
) -> Result<Json<BulkAct>, Problem> {
    let bulk_uuid = parse_bulk_uuid(&bulk_uuid)?;
    let stopped = state.database.call("stop_bulk_act", async |connection| {
        stop_bulk_act(connection, bulk_uuid).await
    });
    Ok(Json(stopped.await?))
}

fn parse_bulk_uuid(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        let message = format!("{text:?} is not the uuid of a bulk act");
        Problem::new(Kind::InvalidRequest, message)
    })
}
