//! Puts a worker together: channels, loops, and what the deployment mode says of them.

use std::sync::Arc;
use std::time::Duration;

use pgmq_notify::Subscriptions;
use tasker_shared::announcer::Announcer;
use tasker_shared::channel::{self, ChannelSpec, Receiver, Sender};
use tasker_shared::config::{EventSystemsConfig, MpscChannelsConfig, WorkerConfig};
use tasker_shared::database::Database;
use tasker_shared::statistics::{SampledStatisticsCollector, StatisticsWriter};
use tasker_shared::supervisor::{Supervised, Supervisor};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RunningWorker;
use crate::COMPONENT;
use crate::chain::{Report, Running};
use crate::command_processor::{CommandProcessor, Receiving, ReceivingParts, WorkerCommand};
use crate::dead_rows_keeper::{DeadRowsKeeper, Enqueued};
use crate::event_listener::{self, WorkerEventClassifier, WorkerListener};
use crate::event_system::{Poller, WorkerEvent, WorkerEventSystem};
use crate::events::WorkerEvents;
use crate::handlers::Handlers;
use crate::health::Vitals;
use crate::heartbeat::{self, Heartbeat};
use crate::launcher::Launcher;
use crate::leases::Leases;
use crate::namespaces::Namespaces;
use crate::places::{Occupancy, Places};
use crate::registration::WorkerRegistration;
use crate::reporter::{Reporter, Reporting, ReportingParts};

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
    pub(super) statistics: Arc<SampledStatisticsCollector>,
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
        let announcer = Announcer::start(
            self.database,
            COMPONENT,
            self.channels,
            &self.event_systems.supervisor,
        );
        let (reports, outcomes) = channel::bounded_by_bytes(
            spec("results", worker.event_subscribers.result_buffer_size),
            worker.event_subscribers.result_buffer_bytes,
        );
        let (completions, completed) = channel(
            "completions",
            worker.event_subscribers.completion_buffer_size,
        );
        let places = Arc::new(Places::new(config.concurrency, completions));
        let (commands, received) =
            channel("commands", worker.command_processor.command_buffer_size);
        let (events, happened) = channel("events", worker.event_systems.event_channel_buffer_size);

        let names = handlers.names().map(str::to_owned).collect::<Vec<_>>();
        let enqueued = Arc::new(Enqueued::default());
        let reporting = self.reporting(&name, &names);
        let parts = ReportingParts {
            reports: Arc::new(Mutex::new(outcomes)),
            places: Arc::clone(&places),
            leases: Arc::clone(&self.leases),
            announcer: announcer.clone(),
            enqueued: Arc::clone(&enqueued),
            events: self.published.clone(),
            statistics: Arc::clone(&self.statistics),
            vitals: self.vitals.clone(),
            give_up: give_up.clone(),
        };
        let reporters = self.reporters(&reporting, &parts);
        let permits = Arc::new(Semaphore::new(config.concurrency));
        let left = CancellationToken::new();
        let registration = self.until_left(&handlers, &permits, enqueued, &left);
        let running = self.running(handlers, reports, places, permits);
        let subscriptions =
            event_listener::subscriptions(self.database.channels(), &config.namespaces);
        let mut receiving = self.supervisor();
        receiving.start(self.processor(
            self.receiving(&name, names),
            received,
            completed,
            Launcher::new(running),
            &subscriptions,
        ));
        receiving.start(WorkerEventSystem {
            events: happened,
            commands,
        });
        self.start_sources(&mut receiving, events, subscriptions);
        self.start_heartbeat(&name, &stop_heartbeat);
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
            receiving,
            reporters,
            announcer: Some(announcer),
            left,
            registration,
        }
    }

    /// Starts the loops that go on until the worker has left.
    fn until_left(
        &self,
        handlers: &Handlers,
        permits: &Arc<Semaphore>,
        enqueued: Arc<Enqueued>,
        left: &CancellationToken,
    ) -> Supervisor {
        let mut loops = self.supervisor();
        loops.start(WorkerRegistration::new(
            self.database,
            self.config,
            handlers,
            Arc::clone(permits),
            self.shutdown.clone(),
            left.clone(),
        ));
        let statistics = Arc::clone(&self.statistics);
        loops.start(StatisticsWriter::new(
            statistics,
            self.database,
            left.clone(),
        ));
        loops.start(DeadRowsKeeper::new(self.database, enqueued, left.clone()));
        loops
    }

    /// What the steps that run share.
    fn running(
        &self,
        handlers: Handlers,
        reports: Sender<Report>,
        places: Arc<Places>,
        permits: Arc<Semaphore>,
    ) -> Running {
        Running {
            database: Arc::new(self.database.clone()),
            handlers: Arc::new(handlers),
            leases: Arc::clone(&self.leases),
            reports,
            places,
            permits,
            events: self.published.clone(),
            statistics: Arc::clone(&self.statistics),
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

    /// The loop that receives steps.
    fn processor(
        &self,
        settings: Receiving,
        commands: Receiver<WorkerCommand>,
        completions: Receiver<Occupancy>,
        launcher: Launcher,
        subscriptions: &Subscriptions,
    ) -> CommandProcessor {
        let connection = self
            .database
            .dedicated()
            .within(settings.lease / RECEIPTS_PER_LEASE)
            .waiting_for_locks(LOCK_TIMEOUT);
        CommandProcessor::new(
            settings,
            ReceivingParts {
                connection,
                commands,
                completions,
                launcher,
                namespaces: Namespaces::new(self.config.namespaces.clone()),
                subscriptions: subscriptions.clone(),
                shutdown: self.shutdown.clone(),
                outage: (self.vitals.outages).outage(CommandProcessor::NAME, "receive steps"),
            },
        )
    }

    fn start_heartbeat(&self, name: &str, stop: &CancellationToken) {
        let heartbeat = Heartbeat::new(
            name.to_owned(),
            self.database.dedicated().waiting_for_locks(LOCK_TIMEOUT),
            Arc::clone(&self.leases),
            self.config.lease,
            &self.vitals.outages,
            stop.clone(),
        );
        heartbeat::start(heartbeat, &self.event_systems.supervisor);
    }

    fn reporting(&self, name: &str, handlers: &[String]) -> Reporting {
        Reporting {
            worker: name.to_owned(),
            batch_size: self.config.report_batch_size,
            backlog_bytes: self.channels.worker.event_subscribers.result_buffer_bytes,
            continues_with: handlers.to_vec(),
            most_beside: usize::try_from(self.config.receive_batch_size).unwrap_or(0),
            enqueues: self.config.enqueue_dependents && self.config.deployment.mode.listens(),
            lease: self.config.lease,
        }
    }

    /// Starts the loops that record outcomes, which share what they receive from.
    fn reporters(&self, reporting: &Reporting, parts: &ReportingParts) -> Supervisor {
        let mut reporters = self.supervisor();
        for _ in 0..self.config.reporters {
            let (settings, parts) = (reporting.clone(), parts.clone());
            reporters.start(Reporter::new(settings, self.database, parts));
        }
        reporters
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::new(&self.event_systems.supervisor, self.shutdown.clone())
    }

    /// Starts what makes events, as the deployment mode says.
    fn start_sources(
        &self,
        receiving: &mut Supervisor,
        events: Sender<WorkerEvent>,
        subscriptions: Subscriptions,
    ) {
        let mode = self.config.deployment.mode;
        if mode.polls() {
            receiving.start(Poller {
                interval: self.config.poll_interval,
                looks_for_namespaces: !mode.listens(),
                polls: 0,
                events: events.clone(),
                shutdown: self.shutdown.clone(),
            });
        }
        if mode.listens() {
            let listeners = &self.channels.worker.event_listeners;
            let (notifications, heard) = channel::bounded_by_bytes(
                spec("pgmq_events", listeners.pgmq_event_buffer_size),
                listeners.pgmq_event_buffer_bytes,
            );
            receiving.start(WorkerListener {
                database: self.database.clone(),
                subscriptions,
                config: self.event_systems.listener.clone(),
                notifications,
                shutdown: self.shutdown.clone(),
            });
            receiving.start(WorkerEventClassifier {
                channels: self.database.channels().clone(),
                notifications: heard,
                events,
            });
        }
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
