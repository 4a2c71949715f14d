//! Keeps the loops of a role running when a bug ends one of them.
//!
//! The state of a loop outlives its panic, so that no channel closes and nothing received is lost.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{error, warn};

use crate::backoff::Backoff;
use crate::config::SupervisorConfig;
use crate::telemetry::metrics;

/// A loop with its state.
pub trait Supervised: Send {
    /// Name in logs and metrics.
    const NAME: &'static str;

    /// Runs until it is told to stop, or there is nothing more to do. Called again after a panic.
    fn run(&mut self) -> impl Future<Output = ()> + Send;
}

/// Loops that start and end together; dropping it ends them at once.
pub struct Supervisor {
    backoff: Backoff,
    stopping: CancellationToken,
    after_restart: Arc<dyn Fn() + Send + Sync>,
    tasks: TaskTracker,
    loops: Vec<(Arc<Record>, AbortOnDropHandle<()>)>,
}

/// How one loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentHealth {
    /// Its name, as in `tasker_supervised_restarts_total`.
    pub name: &'static str,
    /// Whether it runs.
    pub state: ComponentState,
    /// How often it ended unexpectedly.
    pub restarts: u64,
    /// For how many milliseconds its database calls have failed; absent while they work, and where
    /// that is not known.
    pub failing_for_ms: Option<u64>,
}

impl ComponentHealth {
    /// Whether it runs and its calls work.
    pub fn is_healthy(&self) -> bool {
        self.state == ComponentState::Running && self.failing_for_ms.is_none()
    }
}

/// Whether a loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentState {
    /// It runs.
    Running,
    /// It ended unexpectedly and will be started again after a pause.
    Restarting,
    /// It ended as it should.
    Stopped,
}

/// What is known about one loop.
#[derive(Default)]
struct Record {
    name: &'static str,
    restarts: AtomicU64,
    is_restarting: AtomicBool,
    panics: Notify,
}

impl Supervisor {
    /// Supervises loops that have no reason to end before `stopping`.
    pub fn new(config: &SupervisorConfig, stopping: CancellationToken) -> Self {
        Self {
            backoff: Backoff::new(config.restart_min, config.restart_max),
            stopping,
            after_restart: Arc::new(|| {}),
            tasks: TaskTracker::new(),
            loops: Vec::new(),
        }
    }

    /// The same with what makes up for what a loop had in hand when it ended.
    #[must_use]
    pub fn after_restart(mut self, make_up: impl Fn() + Send + Sync + 'static) -> Self {
        self.after_restart = Arc::new(make_up);
        self
    }

    /// Starts a loop, within a tokio runtime.
    pub fn start<S: Supervised + 'static>(&mut self, supervised: S) {
        let record = Arc::new(Record {
            name: S::NAME,
            ..Record::default()
        });
        let keeper = Keeper {
            record: Arc::clone(&record),
            backoff: self.backoff,
            stopping: self.stopping.clone(),
            after_restart: Arc::clone(&self.after_restart),
        };
        let task = self.tasks.spawn(keeper.keep(supervised));
        self.loops.push((record, AbortOnDropHandle::new(task)));
    }

    /// How each loop is, in the order in which they were started.
    pub fn health(&self) -> impl Iterator<Item = ComponentHealth> {
        self.loops.iter().map(|(record, task)| ComponentHealth {
            name: record.name,
            state: match (task.is_finished(), record.is_restarting.load(Relaxed)) {
                (true, _) => ComponentState::Stopped,
                (false, true) => ComponentState::Restarting,
                (false, false) => ComponentState::Running,
            },
            restarts: record.restarts.load(Relaxed),
            failing_for_ms: None,
        })
    }

    /// Returns when every loop has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits for the end of the loops, which know that they have to stop. One that does not end in
    /// time is ended.
    pub async fn end_within(&self, longest: Duration) {
        if timeout(longest, self.ended()).await.is_ok() {
            return;
        }
        for (record, task) in self.loops.iter().filter(|(_, task)| !task.is_finished()) {
            warn!(
                name = record.name,
                "a loop did not stop within {longest:?} and is ended"
            );
            task.abort();
        }
    }

    /// Ends every loop at once.
    pub fn abort(&self) {
        for (_, task) in &self.loops {
            task.abort();
        }
    }

    /// Makes a loop panic, for tests of its supervision; false where it does not run.
    #[doc(hidden)]
    pub fn make_panic(&self, name: &str) -> bool {
        let mut loops = self.health().zip(&self.loops);
        let found = loops.find(|(health, _)| health.name == name && health.is_healthy());
        found
            .inspect(|(_, (record, _))| record.panics.notify_one())
            .is_some()
    }
}

/// Keeps one loop running.
struct Keeper {
    record: Arc<Record>,
    backoff: Backoff,
    stopping: CancellationToken,
    after_restart: Arc<dyn Fn() + Send + Sync>,
}

impl Keeper {
    /// Runs the loop until it ends when it may.
    async fn keep(mut self, mut supervised: impl Supervised) {
        let record = &self.record;
        loop {
            let started = Instant::now();
            let ended = AssertUnwindSafe(record.run(&mut supervised)).catch_unwind();
            let reason = match ended.await {
                Ok(()) if self.stopping.is_cancelled() => return,
                Ok(()) => "it returned".to_owned(),
                Err(panic) => format!("it panicked: {}", panic_message(panic.as_ref())),
            };
            record.is_restarting.store(true, Relaxed);
            record.restarts.fetch_add(1, Relaxed);
            metrics().supervised_restart(record.name);
            if started.elapsed() > self.backoff.max() {
                self.backoff.reset();
            }
            let pause = self.backoff.pause();
            error!(
                name = record.name,
                reason, "a loop ended unexpectedly; starting it again in {pause:?}"
            );
            let had_to_stop = self.stopping.is_cancelled();
            tokio::select! {
                () = sleep(pause) => {}
                // What it has to do at its end is done at once.
                () = self.stopping.cancelled(), if !had_to_stop => {}
            }
            (self.after_restart)();
            record.is_restarting.store(false, Relaxed);
        }
    }
}

impl Record {
    async fn run(&self, supervised: &mut impl Supervised) {
        tokio::select! {
            biased;
            () = self.panics.notified() => panic!("a test asked for it"),
            () = supervised.run() => {}
        }
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

#[cfg(test)]
mod tests;
