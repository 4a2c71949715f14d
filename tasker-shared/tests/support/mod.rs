//! A small world for the tests of the engine's SQL: a database, templates, and hands that play
//! orchestrator and worker.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

pub mod processes;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres, Transaction};
use tasker_shared::doctor::{self, Finding};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::readiness::{self, ClaimedTask};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{
    self, ReceivedStep, ReleasedStep, Reported, StepError, StepOutcome, StepReport,
};
use tasker_shared::tasks::{self, NewTask, OnConflict, TaskDetail};
use tasker_shared::template::Template;
use tasker_shared::templates;
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};
use tokio::task::JoinHandle;

/// One step, and two that run beside each other between two others.
pub const SINGLE: &[(&str, &[&str])] = &[("only", &[])];
pub const DIAMOND: &[(&str, &[&str])] =
    &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

pub const WORKER: &str = "worker-1";
pub const LEASE: Duration = Duration::from_secs(30);

pub struct World {
    pub db: TestDatabase,
    pub connection: PgConnection,
}

impl World {
    pub async fn new() -> Self {
        let db = TestDatabase::create().await;
        let connection = db.connect().await;
        let mut world = Self { db, connection };
        // A call that waits for what it should pass over fails instead of hanging.
        world.execute("set statement_timeout to '2min'").await;
        world
    }

    /// Applies a template whose steps are given as `(name, depends_on)`.
    pub async fn template(&mut self, name: &str, steps: &[(&str, &[&str])]) {
        let steps = steps
            .iter()
            .map(|(name, depends_on)| json!({
                "name": name, "handler": "builtin.noop", "depends_on": depends_on,
                "retry": { "max_attempts": 3, "base_ms": 1000, "backoff": "fixed", "jitter": false },
            }))
            .collect::<Vec<_>>();
        self.apply(json!({
            "namespace": "test", "name": name, "version": "1.0.0", "steps": steps,
        }))
        .await;
    }

    pub async fn apply(&mut self, document: Value) {
        let template = Template::parse_json(&document.to_string()).unwrap();
        templates::apply_template(&mut self.connection, &template)
            .await
            .unwrap();
    }

    pub async fn submit(&mut self, name: &str) -> TaskUuid {
        self.submit_with(name, |_| ()).await
    }

    pub async fn submit_with(&mut self, name: &str, change: impl FnOnce(&mut NewTask)) -> TaskUuid {
        let mut task = new_task(name);
        change(&mut task);
        tasks::submit_tasks(&mut self.connection, &[task])
            .await
            .unwrap()[0]
            .task_uuid
    }

    pub async fn claim(&mut self) -> Vec<ClaimedTask> {
        readiness::claim_ready_tasks(&mut self.connection, "orchestrator-1", 1000)
            .await
            .unwrap()
    }

    pub async fn receive(&mut self) -> Vec<ReceivedStep> {
        let namespaces = ["test".to_owned()];
        let demand = steps::Demand::of_any(&namespaces, 1000, LEASE);
        let received = steps::receive_steps(&mut self.connection, WORKER, &demand)
            .await
            .unwrap();
        assert!(received.troubled.is_empty(), "{:?}", received.troubled);
        received.steps
    }

    pub async fn report(&mut self, reports: &[StepReport]) -> Reported {
        steps::complete_steps(&mut self.connection, WORKER, reports, steps::Locks::Wait)
            .await
            .unwrap()
    }

    /// Claims, receives and completes until nothing is ready; answers the order of the steps.
    pub async fn run_all(&mut self) -> Vec<String> {
        let mut order = Vec::new();
        loop {
            self.claim().await;
            let received = self.receive().await;
            if received.is_empty() {
                return order;
            }
            order.extend(received.iter().map(|step| step.step_name.clone()));
            let reports = received.iter().map(complete).collect::<Vec<_>>();
            assert_eq!(self.report(&reports).await.stale, Vec::<usize>::new());
        }
    }

    /// Does what an operator may do.
    pub async fn operate(&mut self, task_uuid: TaskUuid, action: Action<'_>) {
        act(&mut self.connection, task_uuid, action).await.unwrap();
    }

    /// Claims and receives the only step that is ready.
    pub async fn start_one(&mut self) -> ReceivedStep {
        self.claim().await;
        let mut received = self.receive().await;
        assert_eq!(received.len(), 1, "expected one step, got {received:?}");
        received.remove(0)
    }

    pub async fn task(&mut self, task_uuid: TaskUuid) -> TaskDetail {
        tasks::get_task(&mut self.connection, task_uuid)
            .await
            .unwrap()
            .unwrap()
    }

    pub async fn task_state(&mut self, task_uuid: TaskUuid) -> TaskState {
        self.task(task_uuid).await.summary.state
    }

    pub async fn step_state(&mut self, task_uuid: TaskUuid, name: &str) -> StepState {
        let task = self.task(task_uuid).await;
        task.steps
            .iter()
            .find(|step| step.name == name)
            .unwrap()
            .state
    }

    pub async fn execute(&mut self, sql: &'static str) {
        sqlx::query(sql)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    /// Moves the engine's clock of this connection, where it then stands still.
    pub async fn advance(&mut self, by: Duration) {
        sqlx::query("select set_config('tasker.now', (tasker.now() + $1)::text, false)")
            .bind(by)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    pub async fn assert_healthy(&mut self) {
        let findings = self.findings().await;
        assert!(findings.is_empty(), "{findings:#?}");
    }

    pub async fn findings(&mut self) -> Vec<Finding> {
        doctor::examine(&mut self.connection).await.unwrap()
    }

    /// Runs one or several statements without parameters.
    pub async fn run(&mut self, sql: impl Into<String>) {
        let sql = sql.into();
        self.connection
            .execute(sqlx::raw_sql(AssertSqlSafe(sql.clone())))
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The only value of the only row.
    pub async fn value<T>(&mut self, sql: impl Into<String>) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let sql = sql.into();
        sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_one(&mut self.connection)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// Lets every lease run out.
    pub async fn expire_leases(&mut self) {
        self.execute("update pgmq.q_worker_test_queue set vt = clock_timestamp() - interval '1 s'")
            .await;
    }

    /// Opens a transaction on a connection of its own.
    pub async fn begin(&self) -> Transaction<'static, Postgres> {
        self.db.pool().begin().await.unwrap()
    }

    /// Starts a call on a connection of its own and returns once it waits for a lock.
    pub async fn start_blocked<T, F>(
        &mut self,
        call: impl FnOnce(PgConnection) -> F,
    ) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut connection = self.db.connect().await;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let handle = tokio::spawn(call(connection));
        wait_until("a session waits for a lock", WAIT_TIMEOUT, async || {
            assert!(!handle.is_finished(), "the call did not wait for any lock");
            sqlx::query_scalar::<_, bool>("select cardinality(pg_blocking_pids($1)) > 0")
                .bind(pid)
                .fetch_one(&mut self.connection)
                .await
                .unwrap()
        })
        .await;
        handle
    }
}

/// Does what an operator wants, if they may.
pub async fn act(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    action: Action<'_>,
) -> Result<(), Error> {
    action.carry_out(connection, task_uuid, "me", None).await
}

pub fn new_task(name: &str) -> NewTask {
    NewTask {
        namespace: "test".to_owned(),
        name: name.to_owned(),
        version: None,
        context: json!({}),
        priority: 0,
        idempotency_key: None,
        on_conflict: OnConflict::Existing,
    }
}

pub fn report(step: &ReceivedStep, outcome: StepOutcome) -> StepReport {
    StepReport {
        id: step.id,
        receipt: step.receipt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        outcome,
    }
}

pub fn given_back(step: &ReceivedStep) -> ReleasedStep {
    ReleasedStep {
        id: step.id,
        receipt: step.receipt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
    }
}

pub fn complete(step: &ReceivedStep) -> StepReport {
    report(
        step,
        StepOutcome::Complete(json!({ "done": step.step_name })),
    )
}

pub fn fail(step: &ReceivedStep) -> StepReport {
    report(step, StepOutcome::Fail(error()))
}

pub fn retry(step: &ReceivedStep) -> StepReport {
    report(
        step,
        StepOutcome::Retry {
            error: error(),
            after: None,
        },
    )
}

pub fn error() -> StepError {
    StepError {
        kind: "handler_failed".to_owned(),
        message: "no".to_owned(),
        details: None,
    }
}
