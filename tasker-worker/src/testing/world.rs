//! A database, a worker with the handlers under test, and the hands that play the orchestrator.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::doctor::examine;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;
use tokio::sync::Mutex;

use super::{RanTask, engine, server};
use crate::handlers::Handlers;
use crate::worker::{RunningWorker, Worker};

/// How long a run may take, in real time, before it counts as stuck.
const LONGEST_RUN: Duration = Duration::from_mins(1);
/// How long a handler that hangs may hold up the end of a world.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the worker may go without looking for steps that nobody announced to it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A database of its own and a worker with the handlers under test, for one test.
///
/// Nothing is claimed and no retry fires but within [`Self::run`], [`Self::run_until_waiting`] and
/// [`Self::advance`].
#[must_use = "a world says at its end whether the database is sound"]
pub struct World {
    name: String,
    url: String,
    database: Database,
    worker: RunningWorker,
    handlers: Vec<String>,
    /// How far the engine's clock is ahead.
    ahead: Mutex<Duration>,
    longest_run: Duration,
}

impl World {
    /// A world whose worker has these handlers, the built-in ones among them.
    pub async fn start(handlers: Handlers) -> Self {
        expect(Self::create(handlers).await, "could not start a world")
    }

    /// Sets how long a run may take, in real time, before it counts as stuck; a minute otherwise.
    pub fn with_longest_run(mut self, longest: Duration) -> Self {
        self.longest_run = longest;
        self
    }

    async fn create(handlers: Handlers) -> Result<Self> {
        let (name, url) = server::create_database().await?;
        let mut config = TaskerConfig {
            database: server::config(&url),
            ..TaskerConfig::default()
        };
        "world".clone_into(&mut config.worker.instance_id);
        config.worker.poll_interval = POLL_INTERVAL;
        config.worker.reporters = 1;
        config.worker.drain_timeout = DRAIN_TIMEOUT;
        let database = Database::connect(&config.database).await?;
        let names = handlers.names().map(str::to_owned).collect();
        let worker = Worker::start(&database, &config, handlers);
        Ok(Self {
            name,
            url,
            database,
            worker,
            handlers: names,
            ahead: Mutex::default(),
            longest_run: LONGEST_RUN,
        })
    }

    /// Applies the template that this YAML describes.
    ///
    /// # Panics
    /// When the template is refused, or names a handler that is not registered.
    pub async fn apply(&self, yaml: &str) {
        let template = expect(Template::parse_yaml(yaml), "the template is refused");
        let mut steps = template.steps.iter();
        if let Some(step) = steps.find(|step| !self.handlers.contains(&step.handler)) {
            let mut known = self.handlers.clone();
            known.sort();
            panic!(
                "step {:?} needs the handler {:?}, and none of that name is registered: there are {}; \
                 where it belongs to another program, register a function that answers for it",
                step.name,
                step.handler,
                known.join(", ")
            );
        }
        let applied = self.database.call("world_applies", async |connection| {
            apply_template(connection, &template).await
        });
        expect(applied.await, "the template is refused");
    }

    /// Applies the template in a file, whose path is relative to the package under test.
    ///
    /// # Panics
    /// When it cannot be read, and as [`Self::apply`] does.
    pub async fn apply_file(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let what = format!("could not read {}", path.display());
        self.apply(&expect(std::fs::read_to_string(path), &what))
            .await;
    }

    /// Submits a task of `NAMESPACE/NAME` or `NAMESPACE/NAME@VERSION` with this context.
    ///
    /// # Panics
    /// When it is refused, such as for a context that the template's schema does not allow.
    pub async fn submit(&self, template: &str, context: Value) -> TaskUuid {
        let Some((namespace, name)) = template.split_once('/') else {
            panic!("{template:?} is not NAMESPACE/NAME or NAMESPACE/NAME@VERSION");
        };
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (name, None),
        };
        self.submit_task(NewTask {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version,
            context,
            priority: 0,
            idempotency_key: None,
            on_conflict: OnConflict::default(),
        })
        .await
    }

    /// Submits a task with a priority or an idempotency key of its own.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn submit_task(&self, task: NewTask) -> TaskUuid {
        let submitted = self.database.call("world_submits", async |connection| {
            submit_tasks(connection, &[task]).await
        });
        expect(submitted.await, "the task is refused")[0].task_uuid
    }

    /// Runs the task to its end. Where everything in it waits for a time to come, that time comes at
    /// once: a retry that is due in an hour runs now.
    ///
    /// # Panics
    /// When it has not ended in a minute of real time, with where each step stands.
    pub async fn run(&self, task: TaskUuid) -> RanTask {
        loop {
            let ran = self.run_until_waiting(task).await;
            if ran.state().is_terminal() {
                return ran;
            }
            let due = ran.detail.steps.iter().filter_map(|step| step.retry_at);
            let Some(due) = due.min() else {
                panic!("the task waits for nothing that comes with time:\n{ran}");
            };
            self.advance_to(due).await;
        }
    }

    /// Runs the task until it ends, or until everything in it waits for a time to come, as after a
    /// failed attempt that is to be retried later.
    ///
    /// # Panics
    /// As [`Self::run`] does.
    pub async fn run_until_waiting(&self, task: TaskUuid) -> RanTask {
        let longest = self.longest_run;
        let settled = engine::settle(&self.database, task, longest).await;
        match expect(settled, "could not run the task") {
            Some(detail) => RanTask { detail },
            None => panic!(
                "after {longest:?} the task still runs:\n{}",
                self.task(task).await
            ),
        }
    }

    /// The task as it stands at this moment.
    pub async fn task(&self, task: TaskUuid) -> RanTask {
        let detail = engine::load_task(&self.database, task).await;
        let detail = expect(detail, "could not look at the task");
        RanTask { detail }
    }

    /// Moves the engine's clock ahead, for all tasks of this world; what is due then is run.
    ///
    /// Retries go by this clock. The timeout of a running handler and its lease do not: they go by
    /// the real one.
    pub async fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock().await;
        *ahead = ahead.saturating_add(by);
        let moved = engine::set_ahead(&self.database, *ahead).await;
        expect(moved, "could not move time");
        let fired = engine::orchestrate(&self.database).await;
        expect(fired, "could not fire what is due");
    }

    async fn advance_to(&self, time: DateTime<Utc>) {
        let ahead = *self.ahead.lock().await;
        let left = (time - Utc::now()).to_std().unwrap_or_default();
        self.advance(left.saturating_sub(ahead)).await;
    }

    /// The database, for what a test reads or does in it itself.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Address of the database, for code under test that submits or reads there.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The worker, to subscribe to what it does.
    pub fn worker(&self) -> &RunningWorker {
        &self.worker
    }

    /// Stops the worker and examines the database.
    ///
    /// # Panics
    /// When an invariant of the engine is broken, which is a bug of Tasker or of SQL under test that
    /// writes where it must not.
    pub async fn end(self) {
        let drained = self.worker.drain().await;
        assert!(drained.is_complete, "not every outcome was recorded");
        let findings = self.database.call("world_examines", async |connection| {
            examine(connection).await
        });
        let findings = expect(findings.await, "could not examine the database");
        assert!(
            findings.is_empty(),
            "the database is not sound: {findings:#?}"
        );
        self.database.pool().close().await;
        let dropped = server::drop_database(&self.name).await;
        expect(dropped, "could not remove the database");
    }
}

/// The value, or the end of the test with what was tried and why it failed.
fn expect<T, E: Display + Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}
