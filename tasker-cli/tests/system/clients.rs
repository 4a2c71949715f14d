//! Clients of the REST API that take an answer for a promise: each submits a task, waits for its
//! end and submits the next, through whatever happens to the system meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::world::{NAMESPACE, http};

/// How long the API may hold back its answer to a client that waits for an end, in milliseconds.
const WAIT_MS: u32 = 2000;

/// What clients were told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Acknowledged {
    /// Tasks that were accepted.
    pub(crate) submitted: HashSet<Uuid>,
    /// Tasks that are complete.
    pub(crate) complete: HashSet<Uuid>,
}

/// Clients at work.
pub(crate) struct Clients {
    acknowledged: Arc<Mutex<Acknowledged>>,
    enough: CancellationToken,
    work: JoinSet<()>,
}

impl Clients {
    /// So many clients, spread over these addresses, of tasks of this template.
    pub(crate) fn start(count: usize, addresses: &[&str], template: &'static str) -> Self {
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let enough = CancellationToken::new();
        let mut work = JoinSet::new();
        for address in addresses.iter().cycle().take(count) {
            work.spawn(submit_until(
                enough.clone(),
                Api::at(address),
                template,
                Arc::clone(&acknowledged),
            ));
        }
        Self {
            acknowledged,
            enough,
            work,
        }
    }

    pub(crate) fn acknowledged(&self) -> Acknowledged {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits until so many tasks were said to be complete.
    pub(crate) async fn wait_for(&self, complete: usize) {
        let what = format!("{complete} tasks are acknowledged to be complete");
        wait_until(&what, WAIT_TIMEOUT, async || {
            self.acknowledged.lock().unwrap().complete.len() >= complete
        })
        .await;
    }

    /// Lets every client end what it began.
    pub(crate) async fn stop(mut self) -> Acknowledged {
        self.enough.cancel();
        std::mem::take(&mut self.work).join_all().await;
        self.acknowledged()
    }
}

async fn submit_until(
    enough: CancellationToken,
    api: Api,
    template: &str,
    acknowledged: Arc<Mutex<Acknowledged>>,
) {
    while !enough.is_cancelled() {
        let task = api.submit(template).await;
        acknowledged.lock().unwrap().submitted.insert(task);
        api.wait_for_end(task).await;
        acknowledged.lock().unwrap().complete.insert(task);
    }
}

/// An API that may be away for a while.
pub(crate) struct Api {
    client: Client,
    address: String,
}

impl Api {
    pub(crate) fn at(address: &str) -> Self {
        Self {
            client: http(),
            address: address.to_owned(),
        }
    }

    /// Submits a task until it is accepted, under a key that keeps it one task.
    pub(crate) async fn submit(&self, template: &str) -> Uuid {
        let url = format!("{}/v1/tasks", self.address);
        let key = Uuid::new_v4().to_string();
        let body = json!({ "namespace": NAMESPACE, "name": template, "idempotency_key": key });
        let request = || self.client.post(&url).json(&body);
        let answer = until("the task is accepted", request, |_| true).await;
        answer["task_uuid"].as_str().unwrap().parse().unwrap()
    }

    /// Asks for a task until it is complete; gives the answer that says so.
    pub(crate) async fn wait_for_end(&self, task: Uuid) -> Value {
        let url = format!("{}/v1/tasks/{task}?wait_ms={WAIT_MS}", self.address);
        let request = || self.client.get(&url);
        until("the task is complete", request, |task| {
            task["state"] == "complete"
        })
        .await
    }
}

/// Asks again and again, until there is a good answer that holds what is wanted.
async fn until(
    what: &str,
    request: impl Fn() -> RequestBuilder,
    is_wanted: impl Fn(&Value) -> bool,
) -> Value {
    let asking = async {
        loop {
            let answer = answer(request()).await;
            if let Some(answer) = answer.filter(&is_wanted) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = timeout(WAIT_TIMEOUT, asking).await;
    answer.unwrap_or_else(|_| panic!("after {WAIT_TIMEOUT:?} still waiting: {what}"))
}

/// The body of a good answer.
async fn answer(request: RequestBuilder) -> Option<Value> {
    let answer = request.send().await.ok()?;
    let answer = answer.error_for_status().ok()?;
    answer.json().await.ok()
}
