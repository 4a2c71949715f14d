//! Puts a worker together: channels, loops, and what the deployment mode says of them; and takes it
//! apart again when it drains.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pgmq_notify::{ListenerSettings, Subscriptions};
use tasker_shared::announcer::Announcer;
use tasker_shared::channel::{self, ChannelSpec, Receiver, Sender};
use tasker_shared::config::{
    EventSystemsConfig, MpscChannelsConfig, SupervisorConfig, WorkerConfig,
};
use tasker_shared::database::Database;
use tasker_shared::events::EventSubscription;
use tasker_shared::supervisor::{Supervised, keep_running};
use tasker_shared::telemetry::metrics;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::COMPONENT;
use crate::command_processor::{self, CommandProcessor, Receiving};
use crate::event_listener::{self, WorkerEventClassifier, WorkerListener};
use crate::event_system::{Poller, WorkerEvent, WorkerEventSystem};
use crate::events::WorkerEvents;
use crate::handlers::Handlers;
use crate::health::{Vitals, WorkerHealth};
use crate::heartbeat::{self, Heartbeat};
use crate::held_steps::HeldSteps;
use crate::launcher::{Launcher, Occupancy, Running};
use crate::namespaces::Namespaces;
use crate::registration::WorkerRegistration;
use crate::reporter::{Report, Reporter, Reporting};

/// How long a receipt and a heartbeat wait for a queue that somebody keeps locked, before they go on
/// with the others.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How long ended handlers get to hand over their outcomes, and the reporters to record them, after
/// the time to drain is over.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of a lease that a receipt may take at first: what it brings late is of little use, and the
/// process at its other end may be frozen.
const RECEIPTS_PER_LEASE: u32 = 3;

/// The worker role of a process.
#[derive(Debug, Clone, Copy)]
pub struct Worker;

/// A worker that runs until it is drained. Dropping it stops it at once.
pub struct RunningWorker {
    name: String,
    drain_timeout: Duration,
    concurrency: usize,
    held: Arc<HeldSteps>,
    events: WorkerEvents,
    vitals: Vitals,
    /// The tasks of running steps.
    tasks: TaskTracker,
    /// Stops receiving.
    shutdown: CancellationToken,
    /// Stops the heartbeat.
    rest: CancellationToken,
    /// Stops waiting for the database.
    give_up: CancellationToken,
    processor: Option<JoinHandle<()>>,
    reporters: Vec<JoinHandle<()>>,
    announcer: Option<Announcer>,
    /// The worker is gone.
    left: CancellationToken,
    registration: Option<JoinHandle<()>>,
    loops: Vec<AbortHandle>,
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
    pub fn start(
        database: &Database,
        config: &WorkerConfig,
        event_systems: &EventSystemsConfig,
        channels: &MpscChannelsConfig,
        handlers: Handlers,
    ) -> RunningWorker {
        let name = config.instance_name().to_owned();
        let mode = config.deployment.mode;
        let start = Start {
            database,
            config,
            event_systems,
            channels,
            supervisor: event_systems.supervisor.clone(),
            held: Arc::default(),
            published: WorkerEvents::start(&name, channels),
            vitals: Vitals::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        metrics().concurrency_changed(signed(config.concurrency));
        info!(worker = name, %mode, namespaces = ?config.namespaces, "the worker runs");
        start.everything(name, handlers)
    }
}

/// What the parts of a worker are made of.
struct Start<'a> {
    database: &'a Database,
    config: &'a WorkerConfig,
    event_systems: &'a EventSystemsConfig,
    channels: &'a MpscChannelsConfig,
    supervisor: SupervisorConfig,
    held: Arc<HeldSteps>,
    published: WorkerEvents,
    vitals: Vitals,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Start<'_> {
    fn everything(self, name: String, handlers: Handlers) -> RunningWorker {
        let config = self.config;
        let worker = &self.channels.worker;
        let (give_up, rest) = (CancellationToken::new(), CancellationToken::new());
        // The announcer ends with its last handle, when all that was handed over is sent.
        let announcer = Announcer::start(
            self.database,
            COMPONENT,
            self.channels,
            CancellationToken::new(),
        );
        let (reports, outcomes) = channel::bounded_by_bytes(
            spec("results", worker.event_subscribers.result_buffer_size),
            worker.event_subscribers.result_buffer_bytes,
        );
        let (completions, completed) = channel(
            "completions",
            worker.event_subscribers.completion_buffer_size,
        );
        let (commands, received) =
            channel("commands", worker.command_processor.command_buffer_size);
        let (events, happened) = channel("events", worker.event_systems.event_channel_buffer_size);

        let names = handlers.names().map(str::to_owned).collect::<Vec<_>>();
        let reporting = self.reporting(&name, &names);
        let reporters = self.reporters(&reporting, outcomes, &completions, &announcer, &give_up);
        let permits = Arc::new(Semaphore::new(config.concurrency));
        let left = CancellationToken::new();
        let registration = self.registration(&handlers, &permits, &left);
        let running = Running {
            database: Arc::new(self.database.clone()),
            handlers: Arc::new(handlers),
            held: Arc::clone(&self.held),
            reports,
            completions,
            permits,
            events: self.published.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
            max_result_bytes: config.max_result_bytes,
            lease: config.lease(),
            continuation_limit: config.continuation_limit,
        };
        let subscriptions =
            event_listener::subscriptions(self.database.channels(), &config.namespaces);
        let processor = CommandProcessor::new(
            Receiving {
                worker: name.clone(),
                concurrency: config.concurrency,
                handlers: names,
                batch_size: config.receive_batch_size,
                batch_bytes: config.receive_batch_bytes,
                lease: config.lease(),
            },
            self.database
                .dedicated()
                .within(config.lease() / RECEIPTS_PER_LEASE)
                .waiting_for_locks(LOCK_TIMEOUT),
            (received, completed),
            (
                Launcher::new(running),
                Namespaces::new(config.namespaces.clone()),
                subscriptions.clone(),
            ),
            (
                self.shutdown.clone(),
                self.vitals.outage(command_processor::DOING),
            ),
        );
        self.start_heartbeat(&name, &rest);
        let processor = self.spawn(processor);
        let mut loops = vec![
            processor.abort_handle(),
            self.spawn(WorkerEventSystem {
                events: happened,
                commands,
            })
            .abort_handle(),
        ];
        loops.push(registration.abort_handle());
        loops.extend(reporters.iter().map(JoinHandle::abort_handle));
        loops.extend(self.sources(events, subscriptions));
        RunningWorker {
            name,
            drain_timeout: config.drain_timeout(),
            concurrency: config.concurrency,
            held: self.held,
            events: self.published,
            vitals: self.vitals,
            tasks: self.tasks,
            shutdown: self.shutdown,
            rest,
            give_up,
            processor: Some(processor),
            reporters,
            announcer: Some(announcer),
            left,
            registration: Some(registration),
            loops,
        }
    }

    /// Starts the loop that tells of the worker until it has left.
    fn registration(
        &self,
        handlers: &Handlers,
        permits: &Arc<Semaphore>,
        left: &CancellationToken,
    ) -> JoinHandle<()> {
        self.spawn(WorkerRegistration::new(
            self.database,
            self.config,
            handlers,
            Arc::clone(permits),
            (self.shutdown.clone(), left.clone()),
        ))
    }

    fn start_heartbeat(&self, name: &str, rest: &CancellationToken) {
        let heartbeat = Heartbeat::new(
            name.to_owned(),
            self.database.dedicated().waiting_for_locks(LOCK_TIMEOUT),
            Arc::clone(&self.held),
            self.config.lease(),
            (
                rest.clone(),
                self.vitals.outage_of_pauses(
                    heartbeat::DOING,
                    self.config.lease() / heartbeat::PAUSES_PER_LEASE,
                ),
            ),
        );
        heartbeat::start(heartbeat, self.supervisor.clone());
    }

    fn reporting(&self, name: &str, handlers: &[String]) -> Reporting {
        Reporting {
            worker: name.to_owned(),
            batch_size: self.config.report_batch_size,
            continues_with: handlers.to_vec(),
            lease: self.config.lease(),
        }
    }

    /// Starts the loops that record outcomes, which share what they receive from.
    fn reporters(
        &self,
        reporting: &Reporting,
        outcomes: Receiver<Report>,
        completions: &Sender<Occupancy>,
        announcer: &Announcer,
        give_up: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let outcomes = Arc::new(Mutex::new(outcomes));
        let start = |_| {
            self.spawn(Reporter::new(
                reporting.clone(),
                self.database,
                (Arc::clone(&outcomes), completions.clone()),
                (
                    Arc::clone(&self.held),
                    announcer.clone(),
                    self.published.clone(),
                ),
                (self.vitals.clone(), give_up.clone()),
            ))
        };
        (0..self.config.reporters).map(start).collect()
    }

    /// Starts what makes events, as the deployment mode says.
    fn sources(
        &self,
        events: Sender<WorkerEvent>,
        subscriptions: Subscriptions,
    ) -> Vec<AbortHandle> {
        let mode = self.config.deployment.mode;
        let mut loops = Vec::new();
        if mode.polls() {
            let poller = Poller {
                interval: self.config.poll_interval(),
                looks_for_namespaces: !mode.listens(),
                polls: 0,
                events: events.clone(),
                shutdown: self.shutdown.clone(),
            };
            loops.push(self.spawn(poller).abort_handle());
        }
        if mode.listens() {
            let listeners = &self.channels.worker.event_listeners;
            let (notifications, heard) = channel::bounded_by_bytes(
                spec("pgmq_events", listeners.pgmq_event_buffer_size),
                listeners.pgmq_event_buffer_bytes,
            );
            let settings = &self.event_systems.listener;
            let listener = WorkerListener {
                database: self.database.clone(),
                subscriptions,
                settings: ListenerSettings {
                    heartbeat_interval: settings.heartbeat_interval(),
                    reconnect_min: settings.reconnect_min(),
                    reconnect_max: settings.reconnect_max(),
                },
                notifications,
                shutdown: self.shutdown.clone(),
            };
            let classifier = WorkerEventClassifier {
                channels: self.database.channels().clone(),
                notifications: heard,
                events,
            };
            loops.push(self.spawn(listener).abort_handle());
            loops.push(self.spawn(classifier).abort_handle());
        }
        loops
    }

    fn spawn(&self, supervised: impl Supervised + 'static) -> JoinHandle<()> {
        tokio::spawn(keep_running(supervised, self.supervisor.clone()))
    }
}

fn channel<T: Send + 'static>(name: &'static str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel::bounded(spec(name, capacity))
}

fn spec(name: &'static str, capacity: usize) -> ChannelSpec {
    ChannelSpec {
        name,
        component: COMPONENT,
        capacity,
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

    /// Tells the same while the worker drains, and after it has ended.
    pub fn health_check(&self) -> impl Fn() -> WorkerHealth + Send + Sync + 'static {
        let vitals = self.vitals.clone();
        move || vitals.health()
    }

    /// A subscriber to what this worker does: attempts that start and end, tasks that end with
    /// them. It may be behind by `mpsc_channels.worker.in_process_events.broadcast_buffer_size`
    /// events; one that is slower is told how many it missed. The worker does not wait for it,
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
        if let Some(processor) = &mut self.processor {
            let _ = timeout_at(deadline, processor).await;
        }
        let mut interrupted = 0;
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            interrupted = self.held.stop_all();
            warn!(
                interrupted,
                "handlers did not end in time and are interrupted"
            );
            let _ = timeout(FLUSH_TIMEOUT, self.tasks.wait()).await;
        }
        self.rest.cancel();
        let is_complete = self.flush().await;
        self.left.cancel();
        if let Some(registration) = self.registration.take() {
            // It takes two seconds at most, and the row is forgotten where it cannot be removed.
            let _ = timeout(FLUSH_TIMEOUT, registration).await;
        }
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

    /// Lets the reporters and the announcer end what they have; whether they could.
    async fn flush(&mut self) -> bool {
        if let Some(processor) = self.processor.take() {
            processor.abort();
        }
        let mut reporters = join_all(take(&mut self.reporters));
        let mut is_complete = timeout(FLUSH_TIMEOUT, &mut reporters).await.is_ok();
        if !is_complete {
            self.give_up.cancel();
            let _ = timeout(FLUSH_TIMEOUT, reporters).await;
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
        self.rest.cancel();
        self.give_up.cancel();
        for running in &self.loops {
            running.abort();
        }
        self.held.stop_all();
        metrics().concurrency_changed(-signed(self.concurrency));
    }
}

fn signed(concurrency: usize) -> i64 {
    i64::try_from(concurrency).unwrap_or(i64::MAX)
}
