//! Puts an orchestrator together: channels, loops, and what the deployment mode says of them.

use std::sync::Arc;

use pgmq_notify::Subscriptions;
use tasker_shared::channel::Sender;
use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::statistics::StatisticsWriter;
use tasker_shared::supervisor::ComponentHealth;
use tasker_shared::tasks::Enqueuing;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::bulk_acts::BulkActs;
use crate::channels;
use crate::command_processor::CommandProcessor;
use crate::commands::OrchestrationCommand;
use crate::engine::Engine;
use crate::event_systems::orchestration_event_system::OrchestrationEventSystem;
use crate::event_systems::task_readiness_event_system::TaskReadinessEventSystem;
use crate::gauges::Gauges;
use crate::health::{OrchestratorHealth, milliseconds};
use crate::history::HistoryPruning;
use crate::pg_notify_monitor::PgNotifyMonitor;
use crate::registration::OrchestratorRegistration;
use crate::statistics::StatisticsTending;
use crate::task_claim_step_enqueuer::{Claiming, TaskClaimStepEnqueuer};
use crate::task_readiness::classifier::{Classifying, ReadinessEventClassifier, Routes};
use crate::task_readiness::fallback_poller::ReadinessFallbackPoller;
use crate::task_readiness::listener::TaskReadinessListener;
use crate::timers::{TimerSettings, Timers};
use crate::unified_event_coordinator::{Stage, UnifiedEventCoordinator};

/// The orchestrator role of a process.
#[derive(Debug, Clone, Copy)]
pub struct Orchestrator;

/// An orchestrator that runs until its shutdown token is cancelled.
pub struct RunningOrchestrator {
    mode: DeploymentMode,
    engine: Engine,
    enqueuing: Option<Enqueuing>,
    coordinator: Arc<UnifiedEventCoordinator>,
    /// What is listened to, where it is.
    subscriptions: Option<Subscriptions>,
    ended: JoinHandle<()>,
}

impl Orchestrator {
    /// Starts an orchestrator on a migrated database. It claims at once whatever is ready, because
    /// its predecessor may have died before it did.
    ///
    /// A database that does not answer, now or later, is tried again until it does.
    pub fn start(
        database: &Database,
        config: &TaskerConfig,
        shutdown: CancellationToken,
    ) -> RunningOrchestrator {
        let mode = config.orchestration.deployment.mode;
        let engine = Engine::new(database, config);
        engine.wakeups.wake_all();
        let listening = mode.listens().then(|| {
            let names = database.channels();
            let classifier = ReadinessEventClassifier::new(names, &config.orchestration.namespaces);
            Listening {
                subscriptions: Subscriptions::new(classifier.channels().map(str::to_owned)),
                classifier,
            }
        });
        let subscriptions = listening.as_ref().map(|it| it.subscriptions.clone());
        let restarts = &config.event_systems.supervisor;
        let mut coordinator = UnifiedEventCoordinator::new(restarts, &engine.wakeups, &shutdown);
        start(&mut coordinator, &engine, config, listening);
        let coordinator = Arc::new(coordinator);
        info!(
            instance = config.orchestration.instance_name(),
            mode = mode.as_str(),
            namespaces = ?config.orchestration.namespaces,
            "the orchestrator runs"
        );
        let ended = tokio::spawn({
            let coordinator = Arc::clone(&coordinator);
            async move {
                shutdown.cancelled().await;
                coordinator.stop().await;
                info!("the orchestrator stopped");
            }
        });
        RunningOrchestrator {
            mode,
            enqueuing: enqueuing(config),
            engine,
            coordinator,
            subscriptions,
            ended,
        }
    }
}

impl RunningOrchestrator {
    /// The state of its loops, of its listener and of its contact with the database.
    pub fn health(&self) -> OrchestratorHealth {
        OrchestratorHealth {
            mode: self.mode.as_str(),
            components: self.component_health(),
            listener_connected: self
                .subscriptions
                .as_ref()
                .map(Subscriptions::are_connected),
            last_database_answer_ms: self.engine.outages.last_answer().map(milliseconds),
        }
    }

    fn component_health(&self) -> Vec<ComponentHealth> {
        let mut components: Vec<_> = self.coordinator.health().collect();
        for failing in self.engine.outages.failing() {
            let mut named = components.iter_mut().filter(|it| it.name == failing.name);
            if let Some(component) = named.next() {
                component.failing_for_ms = Some(milliseconds(failing.lasts));
            }
        }
        components
    }

    /// How submissions of this process may enqueue their first steps themselves. `None` where the
    /// configuration does not want it, or where steps are found by polling alone.
    pub fn enqueuing(&self) -> Option<Enqueuing> {
        self.enqueuing.clone()
    }

    /// Notes that submissions enqueued so many steps themselves.
    pub fn enqueued_beside(&self, steps: u64) {
        self.engine.sent_beside(steps);
    }

    /// Returns when the orchestrator has stopped, which it does within seconds of its shutdown.
    pub async fn stopped(self) {
        if let Err(error) = self.ended.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Makes one loop panic, for tests of its supervision; false where it does not run.
    #[doc(hidden)]
    pub fn make_panic(&self, name: &str) -> bool {
        self.coordinator.make_panic(name)
    }
}

fn enqueuing(config: &TaskerConfig) -> Option<Enqueuing> {
    let orchestration = &config.orchestration;
    let is_wanted = orchestration.claims.on_submission && orchestration.deployment.mode.listens();
    is_wanted.then(|| Enqueuing {
        processor: orchestration.instance_name().to_owned(),
        namespaces: orchestration.namespaces.clone(),
    })
}

/// Starts the loops that the deployment mode asks for.
fn start(
    coordinator: &mut UnifiedEventCoordinator,
    engine: &Engine,
    config: &TaskerConfig,
    listening: Option<Listening>,
) {
    let orchestration = &config.orchestration;
    let (commands, received) = channels::commands(config);
    coordinator.start(Stage::Discovery, |stop| {
        OrchestratorRegistration::new(&engine.database, orchestration, stop)
    });
    coordinator.start(Stage::Discovery, |stop| {
        Gauges::new(orchestration.namespaces.clone(), engine, stop)
    });
    if let Some(listening) = listening {
        listening.start(coordinator, engine, config, &commands);
    }
    if orchestration.deployment.mode.polls() {
        coordinator.start(Stage::Discovery, |stop| {
            ReadinessFallbackPoller::new(config, engine, commands.clone(), stop)
        });
    }
    coordinator.start(Stage::Discovery, |stop| {
        Timers::new(TimerSettings::new(orchestration), engine, commands, stop)
    });
    let claims = Claiming {
        batch_size: orchestration.claims.batch_size,
        namespaces: orchestration.namespaces.clone(),
    };
    let processor = orchestration.instance_name();
    let enqueuer = TaskClaimStepEnqueuer::new(engine, processor, claims);
    let monitor = PgNotifyMonitor::new(orchestration);
    coordinator.start(Stage::Commands, |stop| {
        CommandProcessor::new(received, engine, enqueuer, monitor, stop)
    });
    coordinator.start(Stage::Commands, |stop| {
        StatisticsWriter::new(Arc::clone(&engine.statistics), &engine.database, stop)
    });
    coordinator.start(Stage::Discovery, |stop| {
        StatisticsTending::new(config.statistics.retention_days, engine, stop)
    });
    coordinator.start(Stage::Discovery, |stop| {
        HistoryPruning::new(config, engine, stop)
    });
    coordinator.start(Stage::Discovery, |stop| BulkActs::new(engine, stop));
}

/// What is listened to, and understood of it.
struct Listening {
    classifier: ReadinessEventClassifier,
    subscriptions: Subscriptions,
}

impl Listening {
    /// Starts the loops between PostgreSQL's notifications and the command processor.
    fn start(
        self,
        coordinator: &mut UnifiedEventCoordinator,
        engine: &Engine,
        config: &TaskerConfig,
        commands: &Sender<OrchestrationCommand>,
    ) {
        let (notifications, heard) = channels::notifications(config);
        let (orchestration, orchestration_events) = channels::orchestration_events(config);
        let (readiness, readiness_events) = channels::readiness_events(config);
        coordinator.start(Stage::Discovery, |stop| {
            let database = &engine.database;
            TaskReadinessListener::new(database, config, self.subscriptions, notifications, stop)
        });
        coordinator.start(Stage::Discovery, |stop| Classifying {
            notifications: heard,
            routes: Routes {
                classifier: self.classifier,
                readiness,
                orchestration,
                retry: channels::readiness_retry(config),
            },
            wakeups: engine.wakeups.clone(),
            stop,
        });
        coordinator.start(Stage::Events, |stop| TaskReadinessEventSystem {
            statistics: Arc::clone(&engine.statistics),
            events: readiness_events,
            commands: commands.clone(),
            stop,
        });
        coordinator.start(Stage::Events, |stop| OrchestrationEventSystem {
            events: orchestration_events,
            commands: commands.clone(),
            stop,
        });
    }
}
