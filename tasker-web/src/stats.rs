//! How long things took.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tasker_shared::statistics::{By, Statistics, StatisticsFilter, statistics};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{self, Params};
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::tasks::parse_moment;

/// Which statistics to answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsParams {
    /// From then on: how long ago (`90s`, `30m`, `2h`, `3d`, `1w`), a date, or a time of RFC 3339;
    /// seven days ago where none is given.
    #[param(example = "2h")]
    since: Option<String>,
    /// Up to then; written as `since` is.
    until: Option<String>,
    /// Only of tasks of this template, `namespace/name`, in any version.
    #[serde(default, deserialize_with = "extract::some_text")]
    #[param(example = "shop/order")]
    template: Option<String>,
    /// What to tell apart beside the event.
    #[param(value_type = Option<By>, inline)]
    by: Option<String>,
}

/// How long things took.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// From this moment on.
    since: DateTime<Utc>,
    /// Events of each kind, by day, template and step as asked for.
    statistics: Vec<Statistics>,
}

/// Show how long things took
///
/// Events are sampled, the more urgent the task the more of them; counts and failures are what the
/// samples stand for, and percentiles have an error of 2%. Days whose samples are gone count whole and
/// know no steps.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "statistics",
    params(StatsParams),
    responses((status = 200, body = Stats, description = "Latencies, counts and failures.")),
)]
pub(crate) async fn show_stats(
    State(state): State<WebState>,
    Params(params): Params<StatsParams>,
) -> Result<Json<Stats>, Problem> {
    let since = parse_moment("since", params.since.as_deref())?;
    let by = params.by.as_deref().map(str::parse::<By>).transpose();
    let filter = StatisticsFilter {
        since: since.unwrap_or_else(|| Utc::now() - TimeDelta::days(7)),
        until: parse_moment("until", params.until.as_deref())?,
        template: params.template,
        by: by
            .map_err(|error| Problem::new(Kind::InvalidRequest, format!("by: {error}")))?
            .unwrap_or_default(),
    };
    let statistics = state
        .database
        .call("statistics", async |connection| {
            statistics(connection, &filter).await
        })
        .await?;
    Ok(Json(Stats {
        since: filter.since,
        statistics,
    }))
}
