//! How a running role is asked to stop: once politely, twice at once.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::output::remark;

/// Exit status of a process that was told to end at once, as shells report Ctrl-C.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first SIGTERM or Ctrl-C. The second ends the process at once.
///
/// Children die with the process, so that an abrupt end leaves nothing behind either.
pub(crate) fn on_signal() -> Result<CancellationToken, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(format!("could not wait for signals: {error}")))
    };
    let terminate = listen(SignalKind::terminate())?;
    let interrupt = listen(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    tokio::spawn(wait(terminate, interrupt, stop.clone()));
    Ok(stop)
}

async fn wait(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    for time in 1.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if time > 1 {
            process::exit(INTERRUPTED);
        }
        remark("stopping; the same signal again stops at once");
        stop.cancel();
    }
}
