//! The server: accepts connections until it is told to stop, then lets requests end.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::connection::{Carries, Connections};
use crate::router::{probes_router, router};
use crate::state::{Probes, WebState};

/// How long probes that are in progress may take when their server stops.
const PROBES_GRACE: Duration = Duration::from_secs(5);

/// How long clients may take to read the rest of their events when the server stops.
const STREAMS_GRACE: Duration = Duration::from_secs(1);

/// How long the submissions that were taken on may take when the last request has ended.
const SUBMISSIONS_GRACE: Duration = Duration::from_secs(5);

/// Serves the API until `shutdown`, which the state was started with, then for as long as requests in
/// progress take.
///
/// Requests that wait for a task are answered at once with the task as it is, and streams of events
/// end; a client that does not read them holds up nothing. What has not ended within `web.request_timeout_ms` is cut off. Submissions that were taken on
/// are ended, and announced.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    state: WebState,
    shutdown: CancellationToken,
) -> io::Result<()> {
    info!(address = %listener.local_addr()?, "the API listens");
    let grace = state.config.request_timeout;
    let submitter = state.submitter.clone();
    let served = run(listener, router(state), shutdown, grace).await;
    if timeout(SUBMISSIONS_GRACE, submitter.close()).await.is_err() {
        warn!("the database did not take in time what was to be submitted or announced");
    }
    served
}

/// Serves health and metrics alone, for processes that have no API.
///
/// # Errors
/// When the listener breaks.
pub async fn serve_probes(
    listener: TcpListener,
    probes: Probes,
    shutdown: CancellationToken,
) -> io::Result<()> {
    info!(address = %listener.local_addr()?, "the probes listen");
    run(listener, probes_router(probes), shutdown, PROBES_GRACE).await
}

/// Serves until `shutdown`, and then no longer than `grace`.
async fn run(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let streams_end = CancellationToken::new();
    let connections = Connections::of(listener, streams_end.clone());
    let service = router.into_make_service_with_connect_info::<Carries>();
    let drain = shutdown.clone().cancelled_owned();
    let cut_off = async {
        shutdown.cancelled().await;
        let streams_grace = STREAMS_GRACE.min(grace);
        sleep(streams_grace).await;
        streams_end.cancel();
        sleep(grace.saturating_sub(streams_grace)).await;
    };
    tokio::select! {
        ended = axum::serve(connections, service).with_graceful_shutdown(drain) => ended,
        () = cut_off => {
            warn!("requests that did not end in time were cut off");
            Ok(())
        }
    }
}
