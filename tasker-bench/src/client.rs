//! A client of the API, as users have it, and the templates of the workloads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::TaskDetail;
use tokio::time::sleep;

use crate::usage;

/// Namespace of the workloads.
pub(crate) const NAMESPACE: &str = "bench";

/// Handler of the workloads that need no time.
pub(crate) const NOOP: &str = "builtin.noop";
/// Longest wait for one task within a request, in milliseconds.
const WAIT_MS: u32 = 60_000;
/// Time between two looks whether all tasks have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long all tasks together may take.
const TASKS_TIMEOUT: Duration = Duration::from_mins(10);

/// A template: its name and how many steps it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Name of the template.
    pub(crate) name: &'static str,
    /// Steps of a task.
    pub(crate) steps: u32,
}

/// A client of the API.
pub(crate) struct Client {
    http: reqwest::Client,
    api: String,
    /// Steps of all tasks that were submitted.
    steps: AtomicU64,
}

#[derive(Deserialize)]
struct Submitted {
    task_uuid: TaskUuid,
}

#[derive(Deserialize)]
struct SubmittedBatch {
    tasks: Vec<Submitted>,
}

impl Client {
    /// A client of the API at this address.
    pub(crate) fn new(api: &str) -> Self {
        // The worker's HTTP handler switches TLS on in the client for the whole binary, and a client
        // wants a provider then, though this one speaks plain HTTP. An earlier one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            api: api.to_owned(),
            steps: AtomicU64::new(0),
        }
    }

    /// Steps of all tasks that were submitted.
    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    pub(crate) fn steps(&self) -> f64 {
        self.steps.load(Ordering::Relaxed) as f64
    }

    /// Counts tasks that were submitted in another way.
    pub(crate) fn count(&self, tasks: usize, shape: Shape) {
        let steps = (tasks as u64) * u64::from(shape.steps);
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }

    /// Stores a template in which each step depends on the one before.
    pub(crate) async fn apply_linear(
        &self,
        name: &'static str,
        steps: u32,
        handler: &str,
    ) -> Result<Shape> {
        let chain = (1..=steps).map(|number| {
            let parents: Vec<String> = (1..number).rev().take(1).map(step_name).collect();
            step(&step_name(number), handler, &parents)
        });
        self.apply(name, chain.collect()).await
    }

    /// Stores a template of one step, `width` that depend on it, and one that depends on them all.
    pub(crate) async fn apply_wide(
        &self,
        name: &'static str,
        width: u32,
        handler: &str,
    ) -> Result<Shape> {
        let names: Vec<String> = (1..=width).map(step_name).collect();
        let mut steps = vec![step("first", handler, &[])];
        let first = ["first".to_owned()];
        steps.extend(names.iter().map(|name| step(name, handler, &first)));
        steps.push(step("last", handler, &names));
        self.apply(name, steps).await
    }

    async fn apply(&self, name: &'static str, steps: Vec<Value>) -> Result<Shape> {
        let count = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let template = json!({
            "namespace": NAMESPACE,
            "name": name,
            "version": "1.0.0",
            "steps": steps,
        });
        let request = self.http.post(self.url("templates")).json(&template);
        self.answer::<Value>(request).await?;
        Ok(Shape { name, steps: count })
    }

    /// Submits a task.
    pub(crate) async fn submit(&self, shape: Shape) -> Result<TaskUuid> {
        let request = self.http.post(self.url("tasks")).json(&new_task(shape));
        let Submitted { task_uuid } = self.answer(request).await?;
        self.count(1, shape);
        Ok(task_uuid)
    }

    /// Submits tasks in one request; gives the last of them.
    pub(crate) async fn submit_batch(&self, shape: Shape, tasks: u32) -> Result<TaskUuid> {
        let batch: Vec<Value> = (0..tasks).map(|_| new_task(shape)).collect();
        let request = self.http.post(self.url("tasks/batch"));
        let request = request.json(&json!({ "tasks": batch }));
        let submitted: SubmittedBatch = self.answer(request).await?;
        self.count(submitted.tasks.len(), shape);
        let last = submitted.tasks.last();
        last.map(|last| last.task_uuid)
            .context("an empty batch was submitted")
    }

    /// Waits for the end of a task.
    pub(crate) async fn ended(&self, task_uuid: TaskUuid) -> Result<TaskDetail> {
        let url = self.url(&format!("tasks/{task_uuid}?wait_ms={WAIT_MS}"));
        let deadline = Instant::now() + TASKS_TIMEOUT;
        loop {
            let task: TaskDetail = self.answer(self.http.get(&url)).await?;
            match task.summary.state {
                TaskState::Complete => return Ok(task),
                TaskState::Pending | TaskState::InProgress if Instant::now() < deadline => {}
                state => {
                    bail!("task {task_uuid} is {state}, not complete");
                }
            }
        }
    }

    /// Submits a task and waits for its end.
    pub(crate) async fn run_one(&self, shape: Shape) -> Result<TaskDetail> {
        let task_uuid = self.submit(shape).await?;
        self.ended(task_uuid).await
    }

    /// The sum of a metric of the orchestrator.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let request = self.http.get(format!("{}/metrics", self.api));
        let response = request.send().await?;
        let text = response.text().await?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_meant = series.split('{').next()? == name;
            is_meant.then(|| value.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.api)
    }

    async fn answer<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = request.send().await?;
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            let text = response.text().await.unwrap_or_default();
            bail!("the API answered {status}: {text}");
        }
        Ok(response.json().await?)
    }
}

/// Waits until no task is open.
pub(crate) async fn all_ended(database: &Database) -> Result<()> {
    let started = Instant::now();
    while usage::has_open_tasks(database).await? {
        if started.elapsed() > TASKS_TIMEOUT {
            bail!("the tasks did not end within {TASKS_TIMEOUT:?}");
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn new_task(shape: Shape) -> Value {
    json!({ "namespace": NAMESPACE, "name": shape.name })
}

fn step_name(number: u32) -> String {
    format!("step_{number}")
}

fn step(name: &str, handler: &str, depends_on: &[String]) -> Value {
    json!({ "name": name, "handler": handler, "depends_on": depends_on })
}
