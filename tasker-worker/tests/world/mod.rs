//! A database, templates, and what an orchestrator would do, at the hands of the test.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod gate;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::readiness::{claim_ready_tasks, fire_due_timers};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::{NewTask, OnConflict, StepDetail, TaskDetail, get_task, submit_tasks};
use tasker_shared::template::Template;
use tasker_shared::{doctor, templates};
use tasker_testing::{
    FaultProxy, TestDatabase, WAIT_TIMEOUT, as_the_tests_are_run, wait_for, wait_until,
};
use tasker_worker::{HandlerError, Handlers, RunningWorker, Step, Worker};

pub(crate) use gate::Gate;

pub(crate) const NAMESPACE: &str = "shop";

/// A step that ends when its gate is opened.
pub(crate) const GATE: &str = "  - { name: only, handler: gate, timeout_ms: 3600000 }";

pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) pool: PgPool,
    pub(crate) database: Database,
    pub(crate) config: TaskerConfig,
}

impl World {
    pub(crate) async fn create() -> Self {
        let db = TestDatabase::create().await;
        let url = db.url().to_owned();
        Self::at(db, &url).await
    }

    /// A world whose workers reach the database by another address.
    pub(crate) async fn at(db: TestDatabase, url: &str) -> Self {
        let mut config = TaskerConfig::default();
        config.database.url = url.into();
        config.worker.poll_interval = Duration::from_millis(50);
        as_the_tests_are_run(&mut config.worker);
        Self {
            pool: db.pool(),
            database: Database::connect(&config.database).await.unwrap(),
            db,
            config,
        }
    }

    /// A world whose workers reach the database through a proxy.
    pub(crate) async fn behind_proxy() -> (Self, FaultProxy) {
        let db = TestDatabase::create().await;
        let proxy = FaultProxy::to(db.url()).await;
        let url = proxy.url().to_owned();
        (Self::at(db, &url).await, proxy)
    }

    /// The world with the lease a worker asks for; PGMQ rounds it up to whole seconds.
    pub(crate) fn with_lease(mut self, seconds: f64) -> Self {
        self.config.worker.lease = Duration::from_secs_f64(seconds);
        self
    }

    /// The world with so many steps that may follow one another in a worker, and others that it
    /// enqueues, in every test run.
    pub(crate) fn with_continuation(mut self, limit: u32) -> Self {
        self.config.worker.continuation_limit = limit;
        self.config.worker.enqueue_dependents = true;
        self
    }

    /// The world whose workers leave what they make ready to claims, where it can be seen.
    pub(crate) const fn leaving_dependents_to_claims(mut self) -> Self {
        self.config.worker.enqueue_dependents = false;
        self
    }

    pub(crate) fn with_mode(mut self, mode: DeploymentMode) -> Self {
        self.config.worker.deployment.mode = mode;
        self
    }

    /// Applies a template with the steps given as YAML; a failed attempt is retried at once.
    pub(crate) async fn template(&self, name: &str, steps: &str) {
        self.template_of(NAMESPACE, name, steps).await;
    }

    pub(crate) async fn template_of(&self, namespace: &str, name: &str, steps: &str) {
        let yaml = format!(
            "namespace: {namespace}\nname: {name}\nversion: 1.0.0\n\
             defaults: {{ retry: {{ max_attempts: 3, backoff: fixed, base_ms: 1, jitter: false }} }}\n\
             steps:\n{steps}\n"
        );
        let template = Template::parse_yaml(&yaml).unwrap();
        let mut connection = self.pool.acquire().await.unwrap();
        templates::apply_template(&mut connection, &template)
            .await
            .unwrap();
    }

    pub(crate) async fn submit(&self, name: &str, context: Value) -> TaskUuid {
        self.submit_to(NAMESPACE, name, context).await
    }

    pub(crate) async fn submit_to(&self, namespace: &str, name: &str, context: Value) -> TaskUuid {
        let task = NewTask {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version: None,
            context,
            priority: 7,
            idempotency_key: None,
            on_conflict: OnConflict::Existing,
        };
        let mut connection = self.pool.acquire().await.unwrap();
        submit_tasks(&mut connection, &[task]).await.unwrap()[0].task_uuid
    }

    pub(crate) fn start(&self, handlers: Handlers) -> RunningWorker {
        self.start_named("worker-1", handlers)
    }

    pub(crate) fn start_named(&self, name: &str, handlers: Handlers) -> RunningWorker {
        let mut config = self.config.clone();
        name.clone_into(&mut config.worker.instance_id);
        Worker::start(&self.database, &config, handlers)
    }

    /// Starts a worker, and returns once it runs the only step of a task, which waits for the gate.
    pub(crate) async fn start_gated(&self) -> (TaskUuid, Gate, RunningWorker) {
        self.template("one", GATE).await;
        let (tasks, gate, worker) = self.start_gated_tasks(1).await;
        (tasks[0], gate, worker)
    }

    /// Starts a worker, and returns once it runs so many tasks of the template `one`, whose only
    /// step waits for the gate.
    pub(crate) async fn start_gated_tasks(
        &self,
        count: usize,
    ) -> (Vec<TaskUuid>, Gate, RunningWorker) {
        let mut tasks = Vec::new();
        for _ in 0..count {
            tasks.push(self.submit("one", json!({})).await);
        }
        let gate = Gate::new();
        let worker = self.start(gate.handlers());
        self.orchestrate().await;
        for _ in 0..count {
            gate.wait_for_start().await;
        }
        (tasks, gate, worker)
    }

    /// Holds a task as an operator's transaction does.
    pub(crate) async fn hold(&self, task: TaskUuid) -> Transaction<'static, Postgres> {
        let mut operator = self.pool.begin().await.unwrap();
        sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
            .bind(task.0)
            .execute(&mut *operator)
            .await
            .unwrap();
        operator
    }

    /// Lets moves of steps fail where this condition on `old` and `new` holds; `nextval('refused')`
    /// in it counts from 1.
    pub(crate) async fn refuse_moves(&self, condition: &str, sqlstate: &str) {
        let refuse = format!(
            "create sequence refused;
             create function refuse() returns trigger language plpgsql as $$
             begin
               if {condition} then
                 raise exception 'not now' using errcode = '{sqlstate}';
               end if;
               return new;
             end $$;
             create trigger refuse before update on tasker.steps
             for each row execute function refuse();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(refuse))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// What an orchestrator does in one round.
    pub(crate) async fn orchestrate(&self) {
        let mut connection = self.pool.acquire().await.unwrap();
        fire_due_timers(&mut connection, 100).await.unwrap();
        drop(connection);
        self.claim().await;
    }

    /// Puts what is ready into its queue.
    pub(crate) async fn claim(&self) {
        let mut connection = self.pool.acquire().await.unwrap();
        claim_ready_tasks(&mut connection, "test", 1000)
            .await
            .unwrap();
    }

    /// Orchestrates until the task is in this state.
    pub(crate) async fn run_to(&self, task: TaskUuid, state: TaskState) -> TaskDetail {
        let what = format!("the task is {state}");
        wait_for(&what, WAIT_TIMEOUT, async || {
            self.orchestrate().await;
            let detail = self.task(task).await;
            (detail.summary.state == state).then_some(detail)
        })
        .await
    }

    /// Orchestrates until the first step of the task is in this state.
    pub(crate) async fn run_step_to(&self, task: TaskUuid, state: StepState) -> StepDetail {
        let what = format!("the step is {state}");
        wait_for(&what, WAIT_TIMEOUT, async || {
            self.orchestrate().await;
            let step = self.task(task).await.steps.remove(0);
            (step.state == state).then_some(step)
        })
        .await
    }

    /// Orchestrates until this attempt of the task's first step runs.
    pub(crate) async fn run_attempt(&self, task: TaskUuid, attempt: i32) {
        let what = format!("attempt {attempt} runs");
        wait_until(&what, WAIT_TIMEOUT, async || {
            self.orchestrate().await;
            let step = self.task(task).await.steps.remove(0);
            (step.attempts, step.state) == (attempt, StepState::InProgress)
        })
        .await;
    }

    pub(crate) async fn task(&self, task: TaskUuid) -> TaskDetail {
        let mut connection = self.pool.acquire().await.unwrap();
        get_task(&mut connection, task).await.unwrap().unwrap()
    }

    /// Runs one task of a template with a single step to its end, in a worker of its own.
    pub(crate) async fn run_one(
        &self,
        step: &str,
        context: Value,
        handlers: Handlers,
        state: TaskState,
    ) -> StepDetail {
        self.template("one", &format!("  - {step}")).await;
        let task = self.submit("one", context).await;
        let worker = self.start(handlers);
        let mut detail = self.run_to(task, state).await;
        worker.drain().await;
        self.assert_sound().await;
        detail.steps.remove(0)
    }

    /// A number that a query answers.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Waits until so many steps are complete, and orchestrates nothing meanwhile.
    pub(crate) async fn wait_for_complete(&self, steps: i64) {
        let what = format!("{steps} steps are complete");
        wait_until(&what, WAIT_TIMEOUT, async || {
            let complete = "select count(*) from tasker.steps where state = 'complete'";
            self.count(complete).await == steps
        })
        .await;
    }

    /// How many steps wait for an orchestrator.
    pub(crate) async fn ready_steps(&self) -> i64 {
        self.count("select count(*) from tasker.ready_steps").await
    }

    /// Waits until a message is under a longer lease than the one it was received under.
    pub(crate) async fn wait_for_extension(&self) {
        let lease_end = async || -> DateTime<Utc> {
            sqlx::query_scalar("select vt from pgmq.q_worker_shop_queue")
                .fetch_one(&self.pool)
                .await
                .unwrap()
        };
        let first = lease_end().await;
        wait_until(
            "the lease goes on after its end",
            WAIT_TIMEOUT,
            async || lease_end().await > first + TimeDelta::seconds(1),
        )
        .await;
    }

    /// Lets the leases of all messages run out, as if their holders had died.
    pub(crate) async fn expire_leases(&self) {
        sqlx::query("update pgmq.q_worker_shop_queue set vt = clock_timestamp() - interval '1 s'")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub(crate) async fn assert_sound(&self) {
        let mut connection = self.pool.acquire().await.unwrap();
        let findings = doctor::examine(&mut connection).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

/// A handler `count`, and how often it was started.
pub(crate) fn counted() -> (Handlers, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let handlers = Handlers::new().register("count", move |_: Step| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, HandlerError>(()) }
    });
    (handlers, runs)
}

/// The error of a step: its kind and its message.
pub(crate) fn error_of(step: &StepDetail) -> (String, String) {
    let error = step.error.as_ref().expect("the step has an error");
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (text("kind"), text("message"))
}
