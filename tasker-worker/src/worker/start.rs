//! Puts a worker together: channels, loops, and what the deployment mode says of them.

use std::sync::Arc;
use std::time::Duration;

use pgmq_notify::{ListenerSettings, Subscriptions};
use tasker_shared::announcer::Announcer;
use tasker_shared::channel::{self, ChannelSpec, Receiver, Sender};
use tasker_shared::config::{
    EventSystemsConfig, MpscChannelsConfig, SupervisorConfig, WorkerConfig,
};
use tasker_shared::database::Database;
use tasker_shared::supervisor::{Supervised, keep_running};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RunningWorker;
use crate::COMPONENT;
use crate::command_processor::{self, CommandProcessor, Receiving};
use crate::event_listener::{self, WorkerEventClassifier, WorkerListener};
use crate::event_system::{Poller, WorkerEvent, WorkerEventSystem};
use crate::events::WorkerEvents;
use crate::handlers::Handlers;
use crate::health::Vitals;
use crate::heartbeat::{self, Heartbeat};
use crate::held_steps::HeldSteps;
use crate::launcher::{Launcher, Occupancy, Running};
use crate::namespaces::Namespaces;
use crate::registration::WorkerRegistration;
use crate::reporter::{Report, Reporter, Reporting};

/// How long a receipt and a heartbeat wait for a locked queue, before they go on with the others.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// The part of a lease that a receipt may take at first: what it brings late is of little use, and the
/// process at its other end may be frozen.
const RECEIPTS_PER_LEASE: u32 = 3;

/// What the parts of a worker are made of.
pub(super) struct Start<'a> {
    pub(super) database: &'a Database,
    pub(super) config: &'a WorkerConfig,
    pub(super) event_systems: &'a EventSystemsConfig,
    pub(super) channels: &'a MpscChannelsConfig,
    pub(super) supervisor: SupervisorConfig,
    pub(super) held: Arc<HeldSteps>,
    pub(super) published: WorkerEvents,
    pub(super) vitals: Vitals,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Start<'_> {
    pub(super) fn everything(self, name: String, handlers: Handlers) -> RunningWorker {
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

    /// Starts the loop that keeps the worker registered until it has left.
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
            backlog_bytes: self.channels.worker.event_subscribers.result_buffer_bytes,
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
