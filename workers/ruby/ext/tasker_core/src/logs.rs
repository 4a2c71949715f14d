//! The log lines of the runtime, for a logger in Ruby.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tasker_shared::config::TelemetryConfig;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that wait for the logger; more are dropped, since nothing may wait for a logger.
const MOST_LINES: usize = 10_000;

/// One line, and how severe it is.
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// Lines between the runtime and a Ruby thread.
#[derive(Default)]
pub(crate) struct Lines {
    waiting: Mutex<VecDeque<Line>>,
    available: Condvar,
    closed: AtomicBool,
}

/// Sends the logs of the process to `lines` from now on. `RUST_LOG` overrides the configured filter.
pub(crate) fn forward(config: &TelemetryConfig, lines: &Arc<Lines>) -> Result<(), String> {
    let named = std::env::var("RUST_LOG");
    let filter = named.ok().filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or_else(|| config.log_filter.clone());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::ERROR.into())
        .parse(&filter)
        .map_err(|error| format!("{filter:?} is not a log filter: {error}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Writer(Arc::clone(lines)))
        .with_ansi(false)
        .without_time()
        .with_level(false);
    let all = tracing_subscriber::registry().with(filter).with(lines);
    all.try_init().map_err(|error| error.to_string())
}

impl Lines {
    /// The next line, waiting for it until `interrupted` or the end.
    pub(crate) fn next(&self, interrupted: &AtomicBool) -> Option<Line> {
        let mut waiting = self.lock();
        loop {
            let line = waiting.pop_front();
            let end = self.is_closed() || interrupted.load(Ordering::Acquire);
            if line.is_some() || end {
                return line;
            }
            let waited = self.available.wait(waiting);
            waiting = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn interrupt(&self, interrupted: &AtomicBool) {
        interrupted.store(true, Ordering::Release);
        drop(self.lock());
        self.available.notify_all();
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.lock());
        self.available.notify_all();
    }

    /// Nothing is logged any more; there may still be lines.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn push(&self, line: Line) {
        let mut waiting = self.lock();
        if waiting.len() < MOST_LINES {
            waiting.push_back(line);
        }
        drop(waiting);
        self.available.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer(Arc<Lines>);

/// Gathers one line.
struct LineWriter<'a> {
    lines: &'a Lines,
    level: Level,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        self.at(Level::INFO)
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> LineWriter<'a> {
        self.at(*metadata.level())
    }
}

impl Writer {
    fn at(&self, level: Level) -> LineWriter<'_> {
        LineWriter {
            lines: &self.0,
            level,
            bytes: Vec::new(),
        }
    }
}

impl io::Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes).trim().to_owned();
        if !text.is_empty() {
            let level = self.level;
            self.lines.push(Line { level, text });
        }
    }
}
