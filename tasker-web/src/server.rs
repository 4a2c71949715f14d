//! The server: accepts connections until it is told to stop, then lets requests end.

use std::io;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::router::router;
use crate::state::WebState;

/// Serves the API until `shutdown`, then for as long as requests in progress take.
///
/// Requests that wait for a task are answered at once with the task as it is. What has not ended
/// within `web.request_timeout_ms` is cut off.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    state: WebState,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let grace = state.config.request_timeout();
    let waiter = state.waiter.clone();
    info!(address = %listener.local_addr()?, "the API listens");
    // Answers are small and written whole; Nagle's algorithm would only hold them back.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            debug!(%error, "could not set TCP_NODELAY");
        }
    });
    let stop = shutdown.clone();
    let drain = async move {
        stop.cancelled().await;
        waiter.stop();
    };
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(drain);
    let cut_off = async {
        shutdown.cancelled().await;
        sleep(grace).await;
    };
    tokio::select! {
        ended = server => ended,
        () = cut_off => {
            warn!("requests that did not end in time were cut off");
            Ok(())
        }
    }
}
