//! A worker from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use tasker_shared::announcer::Announcer;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::events::EventSubscription;
use tasker_shared::statistics::SampledStatisticsCollector;
use tasker_shared::supervisor::Supervisor;
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::events::WorkerEvents;
use crate::handlers::Handlers;
use crate::health::{Vitals, WorkerHealth};
use crate::leases::Leases;

mod start;

use start::Start;

/// How long ended handlers get to hand over their outcomes, and the reporters to record them, after
/// the time to drain is over.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The worker role of a process.
#[derive(Debug, Clone, Copy)]
pub struct Worker;

/// A worker that runs until it is drained. Dropping it stops it at once.
pub struct RunningWorker {
    name: String,
    drain_timeout: Duration,
    concurrency: usize,
    leases: Arc<Leases>,
    events: WorkerEvents,
    vitals: Vitals,
    /// The tasks of running steps.
    tasks: TaskTracker,
    /// Stops receiving.
    shutdown: CancellationToken,
    /// Stops the heartbeat.
    stop_heartbeat: CancellationToken,
    /// Stops waiting for the database.
    give_up: CancellationToken,
    /// The command processor, and what wakes it.
    receiving: Supervisor,
    reporters: Supervisor,
    announcer: Option<Announcer>,
    /// The worker is gone.
    left: CancellationToken,
    registration: Supervisor,
}

/// How a worker came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Handlers that were interrupted because they did not end in time; their steps are tried
    /// again.
    pub interrupted: usize,
    /// Whether every outcome was recorded. If not, leases run out and the steps are tried again.
    pub is_complete: bool,
}

impl Worker {
    /// Starts a worker on a migrated database, within a tokio runtime. It receives what is there at
    /// once.
    ///
    /// A database that does not answer, now or later, is tried again until it does.
    ///
    /// # Panics
    /// Outside of a tokio runtime, and when the operating system has no thread left.
    pub fn start(database: &Database, config: &TaskerConfig, handlers: Handlers) -> RunningWorker {
        let TaskerConfig {
            worker: config,
            event_systems,
            mpsc_channels: channels,
            statistics,
            ..
        } = config;
        let name = config.instance_name().to_owned();
        let mode = config.deployment.mode;
        let start = Start {
            database,
            config,
            event_systems,
            channels,
            leases: Arc::default(),
            statistics: Arc::new(SampledStatisticsCollector::new(statistics.clone())),
            published: WorkerEvents::start(&name, channels),
            vitals: Vitals::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        metrics().concurrency_changed(signed(config.concurrency));
        // Scraped before the first one waits.
        metrics().outcomes_waiting_changed(0);
        info!(worker = name, %mode, namespaces = ?config.namespaces, "the worker runs");
        start.everything(name, handlers)
    }
}

impl RunningWorker {
    /// The worker's name in logs and in the steps it runs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the database does not let it do, and the outcomes that wait.
    pub fn health(&self) -> WorkerHealth {
        self.vitals.health()
    }

    /// Answers the same while the worker drains, and after it has ended.
    pub fn health_check(&self) -> impl Fn() -> WorkerHealth + Send + Sync + 'static {
        let vitals = self.vitals.clone();
        move || vitals.health()
    }

    /// A subscriber to what this worker does: attempts that start and end, tasks that end with
    /// them. It may be behind by `mpsc_channels.worker.in_process_events.broadcast_buffer_size`
    /// events; one that is slower learns how many it missed. The worker does not wait for it,
    /// unless `mpsc_channels.shared.event_publisher.drop_policy` is to block. Events of one step
    /// come in the order in which they happened.
    pub fn subscribe(&self) -> EventSubscription {
        self.events.subscribe()
    }

    /// Stops: receives no more, gives running handlers `worker.drain_timeout_seconds` to end,
    /// interrupts the rest, and records and announces all outcomes.
    ///
    /// Dropping the future stops the worker at once.
    pub async fn drain(mut self) -> Drained {
        let deadline = Instant::now() + self.drain_timeout;
        info!(worker = self.name, "the worker drains");
        self.shutdown.cancel();
        self.tasks.close();
        // A receipt that is under way ends first: what it brings goes back at once.
        let _ = timeout_at(deadline, self.receiving.ended()).await;
        let mut interrupted = 0;
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            interrupted = self.leases.stop_all();
            warn!(
                interrupted,
                "handlers did not end in time and are interrupted"
            );
            let _ = timeout(FLUSH_TIMEOUT, self.tasks.wait()).await;
        }
        self.stop_heartbeat.cancel();
        let is_complete = self.flush().await;
        self.left.cancel();
        // It takes two seconds at most, and the row is forgotten where it cannot be removed.
        let _ = timeout(FLUSH_TIMEOUT, self.registration.ended()).await;
        info!(
            worker = self.name,
            interrupted, is_complete, "the worker stopped"
        );
        Drained {
            interrupted,
            is_complete,
        }
    }

    /// Stops at once. Leases of running steps run out, and other workers try them again.
    pub fn abort(self) {
        drop(self);
    }

    /// Makes one loop panic, for tests of its supervision; false where it does not run.
    #[doc(hidden)]
    pub fn make_panic(&self, name: &str) -> bool {
        let mut loops = self.loops().into_iter();
        loops.any(|loops| loops.make_panic(name))
    }

    fn loops(&self) -> [&Supervisor; 3] {
        [&self.receiving, &self.reporters, &self.registration]
    }

    /// Lets the reporters and the announcer end what they have; whether they could.
    async fn flush(&mut self) -> bool {
        self.receiving.abort();
        let recorded = timeout(FLUSH_TIMEOUT, self.reporters.ended());
        let mut is_complete = recorded.await.is_ok();
        if !is_complete {
            self.give_up.cancel();
            let _ = timeout(FLUSH_TIMEOUT, self.reporters.ended()).await;
        }
        if let Some(announcer) = self.announcer.take() {
            is_complete &= timeout(FLUSH_TIMEOUT, announcer.close()).await.is_ok();
        }
        is_complete
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.stop_heartbeat.cancel();
        self.give_up.cancel();
        for loops in self.loops() {
            loops.abort();
        }
        self.leases.stop_all();
        metrics().concurrency_changed(-signed(self.concurrency));
    }
}

fn signed(concurrency: usize) -> i64 {
    i64::try_from(concurrency).unwrap_or(i64::MAX)
}
