//! What the handlers of all requests share.

use std::sync::Arc;

use axum::extract::FromRef;
use tasker_shared::config::{TaskerConfig, WebConfig};
use tasker_shared::database::Database;
use tokio_util::sync::CancellationToken;

use crate::event_feed::EventFeed;
use crate::submitter::Submitter;
use crate::waiter::TaskWaiter;

/// What the API works on; clones share it.
#[derive(Clone)]
pub struct WebState {
    /// The database of the process.
    pub(crate) database: Database,
    /// Limits and sizes.
    pub(crate) config: Arc<WebConfig>,
    /// Submits tasks for requests.
    pub(crate) submitter: Submitter,
    /// Wakes requests that wait for the end of a task.
    pub(crate) waiter: TaskWaiter,
    /// What happens to tasks and steps, for clients that subscribe.
    pub(crate) events: EventFeed,
    /// What probes of the process look at.
    pub(crate) probes: Probes,
}

/// What probes of a process look at; all that a process without the API serves.
#[derive(Clone)]
pub struct Probes {
    /// The database of the process.
    pub(crate) database: Database,
    /// Usage of a channel, from 0 to 1, from which `/health/channels` calls it degraded.
    pub(crate) channel_warning_threshold: f64,
    /// How the loops of this process are, for `/health/ready`.
    pub(crate) components: ComponentsCheck,
}

/// Says how the loops of the process are; called by every readiness probe, so it must not block.
pub type ComponentsCheck = Arc<dyn Fn() -> Vec<ComponentHealth> + Send + Sync>;

/// How one loop of the process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentHealth {
    /// Name of the component.
    pub name: String,
    /// Whether it does its work.
    pub healthy: bool,
    /// What is wrong, or anything worth telling.
    pub detail: Option<String>,
}

impl WebState {
    /// Starts what submits tasks and, until `shutdown`, what serves requests that wait for them. To
    /// be called in a runtime.
    ///
    /// It listens for ends of tasks unless the orchestration's deployment mode is to poll only.
    pub fn start(
        database: Database,
        config: &TaskerConfig,
        components: ComponentsCheck,
        shutdown: &CancellationToken,
    ) -> Self {
        let listener = &config.event_systems.listener;
        let listens = config.orchestration.deployment.mode.listens();
        let waiter = TaskWaiter::start(
            &database,
            listens.then(|| listener.into()),
            max_waiters(&config.web),
            shutdown,
        );
        let submitter = Submitter::start(&database, config);
        let events = EventFeed::start(&database, config, shutdown);
        let own = (waiter.clone(), submitter.clone(), events.clone());
        let components = with_own(components, own);
        Self {
            probes: Probes::new(database.clone(), config, components),
            database,
            config: Arc::new(config.web.clone()),
            submitter,
            waiter,
            events,
        }
    }
}

impl Probes {
    /// Probes of a process that reaches this database and has these components.
    pub fn new(database: Database, config: &TaskerConfig, components: ComponentsCheck) -> Self {
        Self {
            database,
            channel_warning_threshold: config.mpsc_channels.overflow_policy.log_warning_threshold,
            components,
        }
    }
}

impl FromRef<WebState> for Probes {
    fn from_ref(state: &WebState) -> Self {
        state.probes.clone()
    }
}

/// Adds the API's own loops to the components of the process.
fn with_own(
    components: ComponentsCheck,
    (waiter, submitter, events): (TaskWaiter, Submitter, EventFeed),
) -> ComponentsCheck {
    Arc::new(move || {
        let mut all = components();
        all.push(ComponentHealth {
            name: "task_waiter".to_owned(),
            healthy: waiter.is_running(),
            detail: Some(format!("{} requests wait for a task", waiter.asleep())),
        });
        all.push(ComponentHealth {
            name: "submitter".to_owned(),
            healthy: submitter.is_running(),
            detail: Some(format!(
                "{} tasks wait to be submitted",
                submitter.waiting()
            )),
        });
        all.push(ComponentHealth {
            name: "event_feed".to_owned(),
            healthy: events.is_running(),
            detail: Some(format!(
                "{} clients subscribe to events",
                events.subscribers()
            )),
        });
        all
    })
}

/// Most requests that wait for tasks at the same time: three quarters of all requests, so that
/// those who only wait never keep out those who want something done.
fn max_waiters(config: &WebConfig) -> usize {
    (config.max_concurrent_requests * 3 / 4).max(1)
}
