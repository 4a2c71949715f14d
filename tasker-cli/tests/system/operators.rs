//! What a client of the API and an operator do, against the real processes.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::world::{Role, World, http};

/// Three steps that fail, each to be mended in another way, and one that waits for all of them.
const FRAGILE: &str = "\
namespace: graphs
name: fragile
version: 1.0.0
input_schema: { type: object, required: [order_id] }
defaults: { retry: { max_attempts: 1 } }
steps:
  - { name: flaky, handler: builtin.fail, input: { times: 1 } }
  - { name: useless, handler: builtin.fail }
  - { name: manual, handler: builtin.fail, input: { retryable: false, message: no stock } }
  - { name: healthy, handler: builtin.echo, input: { answer: 42 } }
  - { name: last, handler: builtin.noop, depends_on: [flaky, useless, manual, healthy] }
";

/// Longer than any test.
const LONG: &str = "\
namespace: graphs
name: long
version: 1.0.0
steps:
  - { name: sleep, handler: builtin.sleep, input: { ms: 3600000 }, timeout_ms: 7200000 }
  - { name: later, handler: builtin.noop, depends_on: [sleep] }
";

/// The API of an orchestrator.
struct Api {
    http: reqwest::Client,
    address: String,
}

impl Api {
    fn of(orchestrator: &Role) -> Self {
        Self {
            http: http(),
            address: orchestrator.address.clone(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/v1/{path}", self.address);
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}/v1/{path}", self.address);
        let response = self.http.post(url).json(body).send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    async fn apply(&self, template: &'static str) {
        let url = format!("{}/v1/templates", self.address);
        let request = self.http.post(url).body(template);
        let request = request.header("content-type", "application/yaml");
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::CREATED);
    }

    async fn submit(&self, name: &str, context: Value) -> String {
        let body = json!({ "namespace": "graphs", "name": name, "context": context });
        let (status, answer) = self.post("tasks", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["task_uuid"].as_str().unwrap().to_owned()
    }

    /// The task when it has ended.
    async fn ended(&self, task: &str) -> Value {
        let task = self.get(&format!("tasks/{task}?wait_ms=60000")).await;
        let state = task["state"].as_str().unwrap();
        assert!(!["pending", "in_progress"].contains(&state), "{task}");
        task
    }
}

fn step<'a>(task: &'a Value, name: &str) -> &'a Value {
    let steps = task["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap()
}

#[tokio::test]
async fn a_task_is_submitted_fails_and_is_mended_through_the_api() {
    let world = World::start().await;
    let roles = [world.orchestrator(&[]).await, world.worker(&[]).await];
    let api = Api::of(&roles[0]);
    api.apply(FRAGILE).await;
    let refused = json!({ "namespace": "graphs", "name": "fragile", "context": {} });
    let (status, problem) = api.post("tasks", &refused).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");

    let task = api.submit("fragile", json!({ "order_id": 1 })).await;
    let failed = api.ended(&task).await;
    assert_eq!(failed["state"], "error");
    assert_eq!(failed["execution_status"], "blocked_by_failures");
    assert_eq!(step(&failed, "manual")["error"]["message"], "no stock");
    assert_eq!(step(&failed, "healthy")["result"]["answer"], 42);
    assert_eq!(step(&failed, "last")["state"], "pending");

    for (name, action, body) in [
        ("flaky", "retry", json!({ "reason": "the gateway is back" })),
        ("useless", "skip", json!({ "reason": "nobody needs it" })),
        ("manual", "resolve", json!({ "result": { "box": 7 } })),
    ] {
        let (status, answer) = api
            .post(&format!("tasks/{task}/steps/{name}/{action}"), &body)
            .await;
        assert!(status.is_success(), "{name}: {status} {answer}");
    }
    let mended = api.ended(&task).await;
    assert_eq!(mended["state"], "complete", "{mended}");
    assert_eq!(step(&mended, "flaky")["state"], "complete");
    assert_eq!(step(&mended, "useless")["state"], "skipped");
    assert_eq!(step(&mended, "manual")["state"], "resolved_manually");
    assert_eq!(step(&mended, "manual")["result"]["box"], 7);
    assert_eq!(step(&mended, "last")["state"], "complete");

    let (status, problem) = api
        .post(&format!("tasks/{task}/steps/last/retry"), &json!({}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    world.assert_order().await;
    world.end(roles).await;
}

#[tokio::test]
async fn cancelling_a_task_reaches_its_running_handler() {
    let world = World::start().await;
    // No heartbeat within the time of a test: it has to be the announcement that tells.
    let worker = world
        .worker(&[("TASKER__WORKER__LEASE_SECONDS", "3600")])
        .await;
    let roles = [world.orchestrator(&[]).await, worker];
    let api = Api::of(&roles[0]);
    api.apply(LONG).await;
    let task = api.submit("long", json!({})).await;
    world
        .wait_for(
            "the handler runs",
            "select exists (select from tasker.steps where state = 'in_progress')",
        )
        .await;

    let body = json!({ "reason": "changed my mind" });
    let (status, answer) = api.post(&format!("tasks/{task}/cancel"), &body).await;
    assert!(status.is_success(), "{status} {answer}");

    world
        .wait_for(
            "the handler has ended",
            "select bool_and(state = 'cancelled') from tasker.steps",
        )
        .await;
    let task = api.ended(&task).await;
    assert_eq!(task["state"], "cancelled");
    assert_eq!(task["reason"], "changed my mind");
    let error = &step(&task, "sleep")["error"];
    assert_eq!(error["message"], "the task was cancelled", "it was cut off");
    let told = roles[1]
        .metric("tasker_leases_lost_total", "cancelled")
        .await;
    assert_eq!(told, 1);
    world.end(roles).await;
}
