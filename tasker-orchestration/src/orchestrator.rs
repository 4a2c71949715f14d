//! Puts an orchestrator together: channels, loops, and what the deployment mode says of them.

use std::sync::Arc;

use tasker_shared::backoff::Backoff;
use tasker_shared::channel::Sender;
use tasker_shared::config::{DeploymentMode, OrchestrationConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::outage::{FIRST_PAUSE, LONGEST_PAUSE};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::channels;
use crate::command_processor;
use crate::commands::OrchestrationCommand;
use crate::engine::Engine;
use crate::event_systems::orchestration_event_system::OrchestrationEventSystem;
use crate::event_systems::task_readiness_event_system::TaskReadinessEventSystem;
use crate::health::{ComponentHealth, OrchestratorHealth, Vitals, milliseconds};
use crate::inbox::Inbox;
use crate::registration;
use crate::task_claim_step_enqueuer::{Claiming, TaskClaimStepEnqueuer};
use crate::task_readiness::classifier::{self, ReadinessEventClassifier, Routes};
use crate::task_readiness::fallback_poller::ReadinessFallbackPoller;
use crate::task_readiness::listener::TaskReadinessListener;
use crate::timers::{self, TimerSettings};
use crate::unified_event_coordinator::{Component, Stage, UnifiedEventCoordinator};
use crate::wakeups::Wakeups;
use crate::without_worker;

/// The orchestrator role of a process.
#[derive(Debug, Clone, Copy)]
pub struct Orchestrator;

/// An orchestrator that runs until its shutdown token is cancelled.
pub struct RunningOrchestrator {
    mode: DeploymentMode,
    coordinator: Arc<UnifiedEventCoordinator>,
    listener: Option<TaskReadinessListener>,
    vitals: Vitals,
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
        let classifier =
            ReadinessEventClassifier::new(database.channels(), &config.orchestration.namespaces);
        let listener = mode
            .listens()
            .then(|| TaskReadinessListener::new(database, config, &classifier));
        let engine = Engine {
            database: database.clone(),
            wakeups: Wakeups::default(),
            vitals: Vitals::new(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        };
        engine.wakeups.wake_all();
        let restart = &config.event_systems.supervisor;
        let coordinator = Arc::new(UnifiedEventCoordinator::start(
            components(
                &engine,
                config,
                listener.as_ref().map(|it| (it, &classifier)),
            ),
            Backoff::new(restart.restart_min, restart.restart_max),
            &engine.wakeups,
        ));
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
            coordinator,
            listener,
            vitals: engine.vitals,
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
                .listener
                .as_ref()
                .map(TaskReadinessListener::is_connected),
            last_database_answer_ms: self.vitals.last_database_answer_ms(),
        }
    }

    fn component_health(&self) -> Vec<ComponentHealth> {
        let mut components = self.coordinator.health();
        for component in &mut components {
            let outage = self.vitals.outage_of(component.name);
            component.failing_for_ms = outage.lasts().map(milliseconds);
        }
        components
    }

    /// Returns when the orchestrator has stopped, which it does within seconds of its shutdown.
    pub async fn stopped(self) {
        if let Err(error) = self.ended.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Ends one loop as a bug would, for tests of its supervision; false where it does not run.
    #[doc(hidden)]
    pub fn abort_component(&self, name: &str) -> bool {
        self.coordinator.abort(name)
    }
}

/// The loops that the deployment mode asks for.
fn components(
    engine: &Engine,
    config: &TaskerConfig,
    listener: Option<(&TaskReadinessListener, &ReadinessEventClassifier)>,
) -> Vec<Component> {
    let orchestration = &config.orchestration;
    let (commands, inbox) = channels::commands(config);
    let mut components = watching(engine, orchestration);
    if let Some(listener) = listener {
        components.extend(listening(engine, config, listener, &commands));
    }
    if orchestration.deployment.mode.polls() {
        let poller = ReadinessFallbackPoller::new(config);
        let (engine, commands) = (engine.clone(), commands.clone());
        components.push(component(
            "fallback_poller",
            Stage::Discovery,
            move |stop| {
                let (engine, commands) = (engine.clone(), commands.clone());
                let poller = poller.clone();
                async move { poller.run(&engine, &commands, stop).await }
            },
        ));
    }
    let settings = TimerSettings::new(orchestration);
    let timer_engine = engine.clone();
    components.push(component("timers", Stage::Discovery, move |stop| {
        let (engine, commands) = (timer_engine.clone(), commands.clone());
        let settings = settings.clone();
        async move { timers::run(&settings, &engine, &commands, stop).await }
    }));
    let inbox = Inbox::new(inbox);
    let processor = orchestration.instance_name().to_owned();
    let claims = Claiming {
        batch_size: orchestration.claims.batch_size,
        namespaces: orchestration.namespaces.clone(),
    };
    let engine = engine.clone();
    components.push(component(
        "command_processor",
        Stage::Commands,
        move |stop| {
            let enqueuer = TaskClaimStepEnqueuer::new(&engine.database, &processor, &claims);
            let (inbox, engine) = (inbox.clone(), engine.clone());
            async move { command_processor::run(inbox, &engine, enqueuer, stop).await }
        },
    ));
    components
}

/// The loops that tell people what runs, and what nobody can run.
fn watching(engine: &Engine, orchestration: &OrchestrationConfig) -> Vec<Component> {
    let (database, config) = (engine.database.clone(), orchestration.clone());
    let (engine, namespaces) = (engine.clone(), orchestration.namespaces.clone());
    vec![
        component("registration", Stage::Discovery, move |stop| {
            registration::run(database.clone(), config.clone(), stop)
        }),
        component("without_worker", Stage::Discovery, move |stop| {
            without_worker::run(namespaces.clone(), engine.clone(), stop)
        }),
    ]
}

/// The loops between PostgreSQL's notifications and the command processor.
fn listening(
    engine: &Engine,
    config: &TaskerConfig,
    (listener, classifier): (&TaskReadinessListener, &ReadinessEventClassifier),
    commands: &Sender<OrchestrationCommand>,
) -> [Component; 4] {
    let (notifications, notification_inbox) = channels::notifications(config);
    let (orchestration, event_inbox) = channels::orchestration_events(config);
    let (readiness, readiness_inbox) = channels::readiness_events(config);
    let routes = Arc::new(Routes {
        classifier: classifier.clone(),
        readiness,
        orchestration,
        retry: channels::readiness_retry(config),
    });
    let readiness_system = TaskReadinessEventSystem {
        events: Inbox::new(readiness_inbox),
        commands: commands.clone(),
    };
    let orchestration_system = OrchestrationEventSystem {
        events: Inbox::new(event_inbox),
        commands: commands.clone(),
    };
    let (listener, wakeups) = (listener.clone(), engine.wakeups.clone());
    let notification_inbox = Inbox::new(notification_inbox);
    [
        component("task_readiness_listener", Stage::Discovery, move |stop| {
            listener.clone().run(notifications.clone(), stop)
        }),
        component(
            "readiness_event_classifier",
            Stage::Discovery,
            move |stop| {
                let (inbox, routes) = (notification_inbox.clone(), Arc::clone(&routes));
                let wakeups = wakeups.clone();
                async move { classifier::run(inbox, &routes, &wakeups, stop).await }
            },
        ),
        component("task_readiness_event_system", Stage::Events, move |stop| {
            readiness_system.clone().run(stop)
        }),
        component("orchestration_event_system", Stage::Events, move |stop| {
            orchestration_system.clone().run(stop)
        }),
    ]
}

fn component<F>(
    name: &'static str,
    stage: Stage,
    start: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
) -> Component
where
    F: Future<Output = ()> + Send + 'static,
{
    Component {
        name,
        stage,
        start: Box::new(move |stop| Box::pin(start(stop))),
    }
}
