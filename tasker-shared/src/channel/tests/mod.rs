//! Channels, seen from outside.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use futures::FutureExt;
use tokio::pin;
use tracing::Dispatch;

use super::*;
use crate::config::OverflowMetricsConfig;

mod broadcast;
mod bytes;
mod lossless;
mod lossy;
mod model;
mod retries;
mod saturation;
mod sources;

const LONG: Duration = Duration::from_hours(1);

fn spec(name: &'static str, capacity: usize) -> ChannelSpec {
    ChannelSpec {
        name,
        component: "channel_tests",
        capacity,
    }
}

fn full_of<T: Send + 'static>(
    name: &'static str,
    messages: impl ExactSizeIterator<Item = T>,
) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = bounded(spec(name, messages.len()));
    for message in messages {
        sender.try_send(message).unwrap();
    }
    (sender, receiver)
}

fn status(name: &str) -> Option<ChannelStatus> {
    registry::snapshot()
        .into_iter()
        .find(|status| status.name == name)
}

/// While a single subscriber lives, `tracing` asks the thread that first comes to a line of the log
/// whether it is wanted, and that may be the thread of another test.
static SECOND_SUBSCRIBER: LazyLock<Dispatch> = LazyLock::new(|| {
    Dispatch::new(
        tracing_subscriber::fmt()
            .with_writer(std::io::sink)
            .finish(),
    )
});

/// What was logged while `run` ran, at info and above.
fn logged(run: impl FnOnce()) -> String {
    LazyLock::force(&SECOND_SUBSCRIBER);
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || SharedLog(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let log = log.lock().unwrap().clone();
    String::from_utf8(log).unwrap()
}

struct SharedLog(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for SharedLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
