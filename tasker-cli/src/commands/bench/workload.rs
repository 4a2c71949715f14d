//! The workload: tasks of four empty steps, submitted and awaited through the API as users do.

use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{TaskDetail, TaskFilter, list_tasks};
use tokio::time::sleep;

use crate::commands::bench::figures::{
    LATENCY_P50, LATENCY_P95, LATENCY_P99, Run, STEP_TO_STEP, THROUGHPUT, quantile,
};
use crate::commands::bench::stopwatch::{self, HANDLER};
use crate::failure::Failure;

/// Namespace of the workload.
const NAMESPACE: &str = "bench";
/// Name of the workload's template.
const NAME: &str = "linear4";
/// Steps of a task.
const STEPS: u32 = 4;
/// Tasks before the first that is measured.
const WARM_UP: u32 = 20;
/// Longest wait for one task, in milliseconds.
const WAIT_MS: u32 = 10_000;
/// Time between two looks whether all tasks have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long all tasks together may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// A client of the API.
pub(crate) struct Client {
    http: reqwest::Client,
    api: String,
}

#[derive(Deserialize)]
struct Submitted {
    task_uuid: TaskUuid,
}

impl Client {
    /// Connects and applies the template.
    pub(crate) async fn prepare(api: &str) -> Result<Self, Failure> {
        // The worker's HTTP handler switches TLS on in the client for the whole binary, and a client
        // wants a provider then, though this one speaks plain HTTP. An earlier one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Self {
            http: reqwest::Client::new(),
            api: api.to_owned(),
        };
        let mut steps = vec![json!({ "name": "step_1", "handler": HANDLER })];
        steps.extend((2..=STEPS).map(|number| {
            json!({
                "name": format!("step_{number}"),
                "handler": HANDLER,
                "depends_on": [format!("step_{}", number - 1)],
            })
        }));
        let template = json!({
            "namespace": NAMESPACE,
            "name": NAME,
            "version": "1.0.0",
            "steps": steps,
        });
        let request = client.http.post(client.url("templates")).json(&template);
        client.answer::<Value>(request).await?;
        Ok(client)
    }

    /// Submits task after task and waits for the end of each.
    pub(crate) async fn measure_latency(&self, samples: u32, run: &mut Run) -> Result<(), Failure> {
        let mut times = Vec::new();
        let mut gaps = Vec::new();
        for sample in 0..WARM_UP + samples {
            let started = Instant::now();
            let task = self.run_one().await?;
            if sample >= WARM_UP {
                times.push(started.elapsed().as_secs_f64() * 1e3);
                gaps.extend(stopwatch::gaps(&task.steps));
            }
        }
        run.note(LATENCY_P50, quantile(&mut times, 0.50));
        run.note(LATENCY_P95, quantile(&mut times, 0.95));
        run.note(LATENCY_P99, quantile(&mut times, 0.99));
        run.note(STEP_TO_STEP, quantile(&mut gaps, 0.50));
        Ok(())
    }

    async fn run_one(&self) -> Result<TaskDetail, Failure> {
        let request = self.http.post(self.url("tasks")).json(&new_task());
        let Submitted { task_uuid } = self.answer(request).await?;
        let url = self.url(&format!("tasks/{task_uuid}?wait_ms={WAIT_MS}"));
        let task: TaskDetail = self.answer(self.http.get(url)).await?;
        match task.summary.state {
            TaskState::Complete => Ok(task),
            state => Err(Failure::new(format!(
                "task {task_uuid} is {state}, not complete"
            ))),
        }
    }

    /// Submits many tasks at once and waits for the end of the last; says how many steps ran.
    pub(crate) async fn measure_throughput(
        &self,
        tasks: u32,
        database: &Database,
        run: &mut Run,
    ) -> Result<f64, Failure> {
        let batch: Vec<Value> = (0..tasks).map(|_| new_task()).collect();
        let request = self.http.post(self.url("tasks/batch"));
        let request = request.json(&json!({ "tasks": batch }));
        let started = Instant::now();
        self.answer::<Value>(request).await?;
        while has_open_tasks(database).await? {
            if started.elapsed() > PATIENCE {
                return Err(Failure::new(format!(
                    "the tasks did not end within {PATIENCE:?}"
                )));
            }
            sleep(LOOK_AGAIN).await;
        }
        let seconds = started.elapsed().as_secs_f64();
        let steps = f64::from(tasks) * f64::from(STEPS);
        run.note(THROUGHPUT, steps / seconds);
        Ok(steps)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.api)
    }

    async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Failure> {
        let failed = |error: reqwest::Error| Failure::new(format!("a request failed: {error}"));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            let text = response.text().await.unwrap_or_default();
            return Err(Failure::new(format!("the API answered {status}: {text}")));
        }
        response.json().await.map_err(failed)
    }
}

fn new_task() -> Value {
    json!({ "namespace": NAMESPACE, "name": NAME })
}

/// Whether a task has not ended.
async fn has_open_tasks(database: &Database) -> Result<bool, Failure> {
    for state in [TaskState::InProgress, TaskState::Pending] {
        let filter = TaskFilter {
            namespace: Some(NAMESPACE.to_owned()),
            state: Some(state),
            limit: 1,
            ..TaskFilter::default()
        };
        let open = database
            .call("list_tasks", async |connection| {
                list_tasks(connection, &filter).await
            })
            .await?;
        if !open.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
