//! The system under test: `tasker dev` with a database of its own, filled over its API.

use nix::sys::signal::Signal;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tasker_testing::{TaskerBinary, TaskerProcess, WAIT_TIMEOUT, wait_for};

/// A running system.
pub(crate) struct Stack {
    dev: TaskerProcess,
    /// Where its API and its pages are.
    pub(crate) api: String,
    pub(crate) http: Client,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let args = ["dev", "--ephemeral", "--bind", "127.0.0.1:0", "--json"];
        let mut dev = TaskerBinary::locate().spawn(&args, &[]);
        let line = dev.wait_for_line("\"database_url\"", WAIT_TIMEOUT).await;
        let announced: Value = serde_json::from_str(&line).unwrap();
        // A client wants a provider of TLS, though this one speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            dev,
            api: announced["api"].as_str().unwrap().to_owned(),
            http: Client::new(),
        }
    }

    pub(crate) async fn stop(mut self) {
        self.dev.signal(Signal::SIGINT);
        let status = self.dev.wait(WAIT_TIMEOUT).await;
        assert!(status.success(), "{status}: {}", self.dev.output());
    }

    /// Applies a template.
    pub(crate) async fn apply(&self, template: &str) {
        let request = self.http.post(self.url("/v1/templates"));
        let request = request.header("content-type", "application/yaml");
        expect_success(request.body(template.to_owned()).send().await.unwrap()).await;
    }

    /// Submits a task and gives its UUID.
    pub(crate) async fn submit(&self, template: &str, context: Value) -> String {
        self.submit_many(template, vec![context]).await.remove(0)
    }

    /// Submits a task for each context and gives their UUIDs.
    pub(crate) async fn submit_many(&self, template: &str, contexts: Vec<Value>) -> Vec<String> {
        let (namespace, name) = template.split_once('/').unwrap();
        let tasks: Vec<Value> = contexts
            .into_iter()
            .map(|context| json!({"namespace": namespace, "name": name, "context": context}))
            .collect();
        let answer = self
            .post("/v1/tasks/batch", json!({ "tasks": tasks }))
            .await;
        let tasks = answer["tasks"].as_array().unwrap().iter();
        tasks
            .map(|task| task["task_uuid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until a task is in this state.
    pub(crate) async fn wait_for_state(&self, task_uuid: &str, state: &str) {
        let what = format!("task {task_uuid} is in state {state}");
        wait_for(&what, WAIT_TIMEOUT, async || {
            let task = self.get(&format!("/v1/tasks/{task_uuid}")).await;
            (task["state"] == state).then_some(())
        })
        .await;
    }

    /// Waits until so many tasks are in this state.
    pub(crate) async fn wait_for_tasks(&self, state: &str, count: usize) {
        let what = format!("{count} tasks are in state {state}");
        let path = format!("/v1/tasks?state={state}&limit=500");
        wait_for(&what, WAIT_TIMEOUT, async || {
            let listed = self.get(&path).await;
            let tasks = listed["tasks"].as_array().map_or(0, Vec::len);
            (tasks == count).then_some(())
        })
        .await;
    }

    /// What a POST of this document is answered with.
    pub(crate) async fn post(&self, path: &str, document: Value) -> Value {
        let request = self.http.post(self.url(path)).json(&document);
        expect_success(request.send().await.unwrap()).await
    }

    /// The document at this path of the API.
    pub(crate) async fn get(&self, path: &str) -> Value {
        expect_success(self.http.get(self.url(path)).send().await.unwrap()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }
}

async fn expect_success(answer: Response) -> Value {
    let status: StatusCode = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}
