//! Whether the process lives, can serve, and keeps up; and its metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tasker_shared::channel::ChannelStatus;
use tasker_shared::channel::registry::{self, ChannelHealthStatus};
use tasker_shared::database::Database;
use tasker_shared::schema::schema_state;
use tasker_shared::telemetry::render_prometheus;
use tokio::time::timeout;
use tracing::warn;
use utoipa::ToSchema;

use crate::state::{ComponentHealth, Probes};

/// How long the database may take to answer a probe; orchestrators of containers give probes a
/// few seconds at most.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Media type of the text that Prometheus scrapes.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    #[schema(example = "live")]
    status: &'static str,
}

/// Whether requests should be sent here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `not_ready` where a check fails.
    #[schema(example = "ready")]
    status: &'static str,
    /// What was looked at.
    checks: Vec<Check>,
}

/// One thing that has to be in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Check {
    /// `database`, `schema`, `channels`, or the name of a component.
    #[schema(example = "database")]
    name: String,
    /// Whether it is in order.
    healthy: bool,
    /// What is wrong, or anything worth telling.
    #[schema(required)]
    detail: Option<String>,
}

/// Whether the receivers of the process keep up with what is sent to them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelHealth {
    /// `Healthy`, or `Degraded` where a channel is filling up.
    #[schema(example = "Healthy")]
    status: &'static str,
    /// One sentence for each channel that is filling up.
    warnings: Vec<String>,
    /// Every channel, by component and name.
    channels: Vec<ChannelStatus>,
}

/// Tell that the process lives
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses((status = 200, body = Live, description = "It does.")),
)]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// Tell whether requests should be sent here
///
/// The database has to answer and to take writes, its schema to be one that this build can use, and the
/// loops of the process to run, with calls that work.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, body = Readiness, description = "All is in order."),
        (status = 503, body = Readiness, description = "Something is not; the checks say what."),
    ),
)]
pub(crate) async fn ready(State(probes): State<Probes>) -> (StatusCode, Json<Readiness>) {
    let mut checks = check_database(&probes.database).await;
    checks.extend((probes.components)().into_iter().map(Check::from));
    checks.push(check_channels(probes.channel_warning_threshold));
    if checks.iter().all(|check| check.healthy) {
        let status = "ready";
        return (StatusCode::OK, Json(Readiness { status, checks }));
    }
    let status = "not_ready";
    let answer = Json(Readiness { status, checks });
    (StatusCode::SERVICE_UNAVAILABLE, answer)
}

impl From<ComponentHealth> for Check {
    fn from(component: ComponentHealth) -> Self {
        Self {
            name: component.name,
            healthy: component.healthy,
            detail: component.detail,
        }
    }
}

/// Names the channels that are filling up. They drain by themselves while the process goes on, so
/// they are no reason to send requests elsewhere.
fn check_channels(threshold: f64) -> Check {
    let detail = match registry::check_channel_health(threshold) {
        ChannelHealthStatus::Healthy => None,
        ChannelHealthStatus::Degraded { warnings } => {
            Some(format!("degraded: {}", warnings.join("; ")))
        }
    };
    Check {
        name: "channels".to_owned(),
        healthy: true,
        detail,
    }
}

/// Asks the database whether it takes writes, and for its schema; an answer shows that it is there.
async fn check_database(database: &Database) -> Vec<Check> {
    let check = |name: &str, problem: Option<&str>| Check {
        name: name.to_owned(),
        healthy: problem.is_none(),
        detail: problem.map(str::to_owned),
    };
    let away = |reason| vec![check("database", Some(reason))];
    let look = async {
        database.check_writable().await?;
        schema_state(database).await
    };
    match timeout(PROBE_TIMEOUT, look).await {
        Ok(Ok(state)) => {
            let problem = (!state.is_usable()).then(|| format!("{state}: {}", state.hint()));
            vec![check("database", None), check("schema", problem.as_deref())]
        }
        Ok(Err(error)) if error.is_read_only() => {
            away("the server is read-only: a standby, or default_transaction_read_only is on")
        }
        Ok(Err(error)) => {
            warn!(%error, "the database did not pass a readiness probe");
            away("it does not answer as it should; the server's log has the reason")
        }
        Err(_) => away("it did not answer in time"),
    }
}

/// Tell how full the channels of the process are
#[utoipa::path(
    get,
    path = "/health/channels",
    tag = "health",
    responses((status = 200, body = ChannelHealth, description = "Every channel.")),
)]
pub(crate) async fn channels(State(probes): State<Probes>) -> Json<ChannelHealth> {
    let (status, warnings) = match registry::check_channel_health(probes.channel_warning_threshold)
    {
        ChannelHealthStatus::Healthy => ("Healthy", Vec::new()),
        ChannelHealthStatus::Degraded { warnings } => ("Degraded", warnings),
    };
    Json(ChannelHealth {
        status,
        warnings,
        channels: registry::snapshot(),
    })
}

/// Give the metrics to Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((
        status = 200,
        body = String,
        content_type = "text/plain",
        description = "All metrics of the process.",
    )),
)]
pub(crate) async fn metrics() -> Response {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], render_prometheus()).into_response()
}
