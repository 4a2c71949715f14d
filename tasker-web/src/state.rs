//! What the handlers of all requests share.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tasker_shared::config::{TaskerConfig, WebConfig};
use tasker_shared::database::Database;
use tasker_shared::supervisor::Supervisor;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bulk::BULK_TURNS;
use crate::event_feed::EventFeed;
use crate::submitter::{OrchestratorBeside, Submitter};
use crate::ui::{LivePages, Looks};
use crate::waiter::TaskWaiter;

/// What the API works on. Clones share it: the router makes several for each request.
#[derive(Clone)]
pub struct WebState(Arc<Parts>);

/// The parts of a [`WebState`].
pub struct Parts {
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
    /// Tells open pages of the web interface that something changed.
    pub(crate) live_pages: LivePages,
    /// What pages show of the database that costs more to see.
    pub(crate) looks: Looks,
    /// Acts on many tasks that are carried out take turns by these.
    pub(crate) bulk_turns: Arc<Semaphore>,
    /// Ends what goes on in the background.
    pub(crate) stop: CancellationToken,
    /// The loops behind these; they end with the last clone at the latest.
    loops: Arc<Supervisor>,
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
    /// It listens for ends of tasks unless the orchestration's deployment mode is to poll only. What is
    /// submitted is enqueued for the orchestrator of the same process, if there is one.
    pub fn start(
        database: Database,
        config: &TaskerConfig,
        components: ComponentsCheck,
        orchestrator: Option<OrchestratorBeside>,
        shutdown: &CancellationToken,
    ) -> Self {
        let mut loops = Supervisor::new(&config.event_systems.supervisor, shutdown.clone());
        let waiter = TaskWaiter::start(&mut loops, &database, config, shutdown);
        let submitter = Submitter::start(&mut loops, &database, config, orchestrator);
        let events = EventFeed::start(&mut loops, &database, config, shutdown);
        let live_pages = LivePages::start(&mut loops, &database, shutdown);
        let own = Own {
            loops: Arc::new(loops),
            waiter: waiter.clone(),
            submitter: submitter.clone(),
            events: events.clone(),
        };
        let loops = Arc::clone(&own.loops);
        let components = own.added_to(components);
        Self(Arc::new(Parts {
            probes: Probes::new(database.clone(), config, components),
            database,
            config: Arc::new(config.web.clone()),
            submitter,
            waiter,
            events,
            live_pages,
            looks: Looks::new(config.statistics.enabled),
            bulk_turns: Arc::new(Semaphore::new(BULK_TURNS)),
            stop: shutdown.clone(),
            loops,
        }))
    }

    /// Makes one loop panic, for tests of its supervision; false where it does not run.
    #[doc(hidden)]
    pub fn make_panic(&self, name: &str) -> bool {
        self.loops.make_panic(name)
    }
}

impl Deref for WebState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
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

/// The API's own loops, and those who know what they have to do.
struct Own {
    loops: Arc<Supervisor>,
    waiter: TaskWaiter,
    submitter: Submitter,
    events: EventFeed,
}

impl Own {
    /// Adds the loops to the components of the process.
    fn added_to(self, components: ComponentsCheck) -> ComponentsCheck {
        Arc::new(move || {
            let own = |name: &str, healthy, detail| ComponentHealth {
                name: name.to_owned(),
                healthy,
                detail: Some(detail),
            };
            let (asleep, waiting) = (self.waiter.asleep(), self.submitter.waiting());
            let clients = self.events.subscribers();
            let submits = self.run("web_submitter") && self.submitter.announces();
            let mut all = components();
            all.extend([
                own(
                    "task_waiter",
                    self.run("task_waiter"),
                    format!("{asleep} requests wait for a task"),
                ),
                own(
                    "submitter",
                    submits,
                    format!("{waiting} tasks wait to be submitted"),
                ),
                own(
                    "event_feed",
                    self.run("event_feed"),
                    format!("{clients} clients subscribe to events"),
                ),
            ]);
            all
        })
    }

    /// Whether the loops whose names begin like this run, as they do until they are stopped.
    fn run(&self, name: &str) -> bool {
        let mut loops = self.loops.health();
        loops.all(|it| it.is_healthy() || !it.name.starts_with(name))
    }
}
