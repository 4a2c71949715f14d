//! A server for one test, a client of it, and hands that do the work of orchestrator and worker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::readiness::claim_ready_tasks;
use tasker_shared::steps::{Demand, complete_steps, receive_steps};
use tasker_shared::steps::{ReceivedStep, StepError, StepOutcome, StepReport};
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};
use tasker_web::{ComponentHealth, OrchestratorBeside, WebState};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Two steps, one after the other, of which the first has one attempt.
pub(crate) const TEMPLATE: &str = "
namespace: shop
name: order
version: 1.0.0
description: Ships an order
input_schema: { type: object, properties: { order_id: { type: integer } } }
defaults: { retry: { max_attempts: 1 } }
steps:
  - { name: charge, handler: payments.charge }
  - { name: ship, handler: shipping.create, depends_on: [charge], input: { speed: express } }
";

const WORKER: &str = "worker-of-the-test";

/// A server, alone on its database.
pub(crate) struct Api {
    pub(crate) database: Database,
    pub(crate) client: Client,
    base: String,
    state: WebState,
    shutdown: CancellationToken,
    server: Mutex<Option<AbortOnDropHandle<std::io::Result<()>>>>,
    /// Dropped after the server.
    test_database: Option<TestDatabase>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// A server whose configuration differs from the default.
    pub(crate) async fn configured(change: impl FnOnce(&mut TaskerConfig)) -> Self {
        let database = TestDatabase::create().await;
        let url = database.url().to_owned();
        let mut api = Self::on(&url, change, Vec::new()).await;
        api.test_database = Some(database);
        api
    }

    /// A server beside this orchestrator.
    pub(crate) async fn with(orchestrator: OrchestratorBeside) -> Self {
        let database = TestDatabase::create().await;
        let url = database.url().to_owned();
        let mut api = Self::beside(&url, |_| {}, Vec::new(), Some(orchestrator)).await;
        api.test_database = Some(database);
        api
    }

    /// A server on the database of this URL, in a process with these components.
    pub(crate) async fn on(
        url: &str,
        change: impl FnOnce(&mut TaskerConfig),
        components: Vec<ComponentHealth>,
    ) -> Self {
        Self::beside(url, change, components, None).await
    }

    /// The same beside an orchestrator.
    pub(crate) async fn beside(
        url: &str,
        change: impl FnOnce(&mut TaskerConfig),
        components: Vec<ComponentHealth>,
        orchestrator: Option<OrchestratorBeside>,
    ) -> Self {
        let mut config = TaskerConfig::default();
        config.database.url = url.into();
        config.database.acquire_timeout = Duration::from_secs(30);
        change(&mut config);
        let database = Database::connect(&config.database).await.unwrap();
        let shutdown = CancellationToken::new();
        let components = Arc::new(move || components.clone());
        let state = WebState::start(
            database.clone(),
            &config,
            components,
            orchestrator,
            &shutdown,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(tasker_web::serve(listener, state.clone(), shutdown.clone()));
        Self {
            database,
            client: client(),
            base,
            state,
            shutdown,
            server: Mutex::new(Some(AbortOnDropHandle::new(server))),
            test_database: None,
        }
    }

    /// A server that has the template of the tests.
    pub(crate) async fn with_template() -> Self {
        let api = Self::start().await;
        api.apply(TEMPLATE).await;
        api
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Tells the server to stop and returns when it has.
    pub(crate) async fn stopped(&self) {
        self.stop();
        let server = self.server.lock().unwrap().take();
        let server = server.expect("the server stops once");
        timeout(WAIT_TIMEOUT, server)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Makes a loop of the server panic; false where it does not run.
    pub(crate) fn make_panic(&self, name: &str) -> bool {
        self.state.make_panic(name)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.client.post(self.url(path)).json(body)).await
    }

    /// Posts without a body.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        Answer::of(self.client.post(self.url(path))).await
    }

    /// Posts a body of this media type.
    pub(crate) async fn post_as(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.client.post(self.url(path)).body(body);
        Answer::of(request.header("content-type", media_type)).await
    }

    /// Applies a template in YAML.
    pub(crate) async fn apply(&self, template: &str) {
        let answer = self
            .post_as("/v1/templates", "application/yaml", template.to_owned())
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Submits a task of the template of the tests and gives its uuid.
    pub(crate) async fn submit(&self) -> String {
        let task = json!({"namespace": "shop", "name": "order", "context": {"order_id": 1}});
        let answer = self.post("/v1/tasks", &task).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["task_uuid"].as_str().unwrap().to_owned()
    }

    /// Holds up every submission until the transaction ends.
    pub(crate) async fn hold(&self) -> Transaction<'static, Postgres> {
        let mut held = self.database.pool().begin().await.unwrap();
        sqlx::query("lock table tasker.tasks in exclusive mode")
            .execute(&mut *held)
            .await
            .unwrap();
        held
    }

    /// Returns once so many transactions that submit are held up.
    pub(crate) async fn until_held_up(&self, submissions: i64) {
        wait_until("submissions wait for a lock", WAIT_TIMEOUT, async || {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                 and wait_event_type = 'Lock' and query like '%tasker.submit_%'";
            let waiting = sqlx::query_scalar::<_, i64>(waiting);
            waiting.fetch_one(self.database.pool()).await.unwrap() == submissions
        })
        .await;
    }

    /// Returns once so many tasks wait for the next transaction.
    pub(crate) async fn until_gathered(&self, tasks: usize) {
        let expected = format!("{tasks} tasks wait to be submitted");
        wait_until(&expected, WAIT_TIMEOUT, async || {
            self.get("/health/ready").await.text.contains(&expected)
        })
        .await;
    }

    /// Returns once this many requests have looked at their tasks and wait.
    pub(crate) async fn until_waiting(&self, requests: usize) {
        let expected = format!("{requests} requests wait for a task");
        wait_until(&expected, WAIT_TIMEOUT, async || {
            self.get("/health/ready").await.text.contains(&expected)
        })
        .await;
    }

    /// Claims, receives and hands out all steps that are ready, as orchestrator and worker do.
    pub(crate) async fn receive(&self) -> Vec<ReceivedStep> {
        self.database
            .call("test", async |connection| {
                claim_ready_tasks(connection, "orchestrator", 100).await?;
                let lease = Duration::from_secs(30);
                let shop = ["shop".to_owned()];
                let demand = Demand::of_any(&shop, 100, lease);
                Ok(receive_steps(connection, WORKER, &demand).await?.steps)
            })
            .await
            .unwrap()
    }

    /// Reports one outcome for every step that can run, without announcing anything.
    pub(crate) async fn run(&self, outcome: StepOutcome) {
        let steps = self.receive().await;
        assert!(!steps.is_empty(), "no step can run");
        let reports = steps.into_iter().map(|step| StepReport {
            id: step.id,
            receipt: step.receipt,
            msg_id: step.msg_id,
            namespace: step.namespace,
            outcome: outcome.clone(),
        });
        let reports: Vec<_> = reports.collect();
        self.database
            .call("test", async |connection| {
                complete_steps(
                    connection,
                    WORKER,
                    &reports,
                    tasker_shared::steps::Locks::Wait,
                )
                .await
            })
            .await
            .unwrap();
    }

    /// Runs all tasks of the template of the tests to their end.
    pub(crate) async fn run_to_end(&self) {
        for _ in 0..2 {
            self.run(StepOutcome::Complete(json!({"done": true}))).await;
        }
    }

    /// Fails the first step of all tasks permanently.
    pub(crate) async fn fail(&self) {
        self.run(StepOutcome::Fail(StepError {
            kind: "handler_failed".to_owned(),
            message: "card refused".to_owned(),
            details: Some(json!({"code": 51})),
        }))
        .await;
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &'static str) -> &str {
        let value = self.headers.get(HeaderName::from_static(name));
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The problem, after it was found to be a well-formed one of this status and slug.
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(!self.header("x-request-id").is_empty());
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:tasker:problem:{slug}"));
        assert_eq!(problem["status"], status);
        for member in ["title", "detail"] {
            assert_ne!(problem[member].as_str().unwrap(), "", "{self:?}");
        }
        problem
    }

    /// The answer, after it was found to have this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

/// A client for plain HTTP. Where another crate of the same build has TLS, it asks for a provider of
/// cryptography all the same.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}
