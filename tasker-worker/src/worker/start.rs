//! Puts a worker together: channels, loops, and what the deployment mode says of them.

use std::sync::Arc;
use std::time::Duration;

use pgmq_notify::Subscriptions;
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
use crate::command_processor::{self, CommandProcessor, Receiving, ReceivingParts, WorkerCommand};
use crate::event_listener::{self, WorkerEventClassifier, WorkerListener};
use crate::event_system::{Poller, WorkerEvent, WorkerEventSystem};
use crate::events::WorkerEvents;
use crate::handlers::Handlers;
use crate::health::Vitals;
use crate::heartbeat::{self, Heartbeat};
use crate::launcher::{Launcher, Occupancy, Running};
use crate::leases::Leases;
use crate::namespaces::Namespaces;
use crate::registration::WorkerRegistration;
use crate::reporter::{Report, Reporter, Reporting, ReportingParts};

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
    pub(super) leases: Arc<Leases>,
    pub(super) published: WorkerEvents,
    pub(super) vitals: Vitals,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Start<'_> {
    pub(super) fn everything(self, name: String, handlers: Handlers) -> RunningWorker {
        let config = self.config;
        let worker = &self.channels.worker;
        let (give_up, stop_heartbeat) = (CancellationToken::new(), CancellationToken::new());
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
        let parts = ReportingParts {
            reports: Arc::new(Mutex::new(outcomes)),
            completions: completions.clone(),
            leases: Arc::clone(&self.leases),
            announcer: announcer.clone(),
            events: self.published.clone(),
            vitals: self.vitals.clone(),
            give_up: give_up.clone(),
        };
        let reporters = self.reporters(&reporting, &parts);
        let permits = Arc::new(Semaphore::new(config.concurrency));
        let left = CancellationToken::new();
        let registration = self.registration(&handlers, &permits, &left);
        let running = self.running(handlers, reports, completions, permits);
        let subscriptions =
            event_listener::subscriptions(self.database.channels(), &config.namespaces);
        let processor = self.processor(
            self.receiving(&name, names),
            received,
            completed,
            Launcher::new(running),
            &subscriptions,
        );
        self.start_heartbeat(&name, &stop_heartbeat);
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
            drain_timeout: config.drain_timeout,
            concurrency: config.concurrency,
            leases: self.leases,
            events: self.published,
            vitals: self.vitals,
            tasks: self.tasks,
            shutdown: self.shutdown,
            stop_heartbeat,
            give_up,
            processor: Some(processor),
            reporters,
            announcer: Some(announcer),
            left,
            registration: Some(registration),
            loops,
        }
    }

    /// What the steps that run share.
    fn running(
        &self,
        handlers: Handlers,
        reports: Sender<Report>,
        completions: Sender<Occupancy>,
        permits: Arc<Semaphore>,
    ) -> Running {
        Running {
            database: Arc::new(self.database.clone()),
            handlers: Arc::new(handlers),
            leases: Arc::clone(&self.leases),
            reports,
            completions,
            permits,
            events: self.published.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
            max_result_bytes: self.config.max_result_bytes,
            lease: self.config.lease,
            continuation_limit: self.config.continuation_limit,
        }
    }

    /// How steps of these handlers are received.
    fn receiving(&self, name: &str, handlers: Vec<String>) -> Receiving {
        Receiving {
            worker: name.to_owned(),
            concurrency: self.config.concurrency,
            handlers,
            batch_size: self.config.receive_batch_size,
            batch_bytes: self.config.receive_batch_bytes,
            lease: self.config.lease,
        }
    }

    /// Starts the loop that receives steps.
    fn processor(
        &self,
        settings: Receiving,
        commands: Receiver<WorkerCommand>,
        completions: Receiver<Occupancy>,
        launcher: Launcher,
        subscriptions: &Subscriptions,
    ) -> JoinHandle<()> {
        let connection = self
            .database
            .dedicated()
            .within(settings.lease / RECEIPTS_PER_LEASE)
            .waiting_for_locks(LOCK_TIMEOUT);
        self.spawn(CommandProcessor::new(
            settings,
            ReceivingParts {
                connection,
                commands,
                completions,
                launcher,
                namespaces: Namespaces::new(self.config.namespaces.clone()),
                subscriptions: subscriptions.clone(),
                shutdown: self.shutdown.clone(),
                outage: self.vitals.outage(command_processor::DOING),
            },
        ))
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

    fn start_heartbeat(&self, name: &str, stop: &CancellationToken) {
        let heartbeat = Heartbeat::new(
            name.to_owned(),
            self.database.dedicated().waiting_for_locks(LOCK_TIMEOUT),
            Arc::clone(&self.leases),
            self.config.lease,
            (
                stop.clone(),
                self.vitals.outage_of_pauses(
                    heartbeat::DOING,
                    self.config.lease / heartbeat::PAUSES_PER_LEASE,
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
            lease: self.config.lease,
        }
    }

    /// Starts the loops that record outcomes, which share what they receive from.
    fn reporters(&self, reporting: &Reporting, parts: &ReportingParts) -> Vec<JoinHandle<()>> {
        let start = |_| {
            let (settings, parts) = (reporting.clone(), parts.clone());
            self.spawn(Reporter::new(settings, self.database, parts))
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
                interval: self.config.poll_interval,
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
            let listener = WorkerListener {
                database: self.database.clone(),
                subscriptions,
                settings: (&self.event_systems.listener).into(),
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
