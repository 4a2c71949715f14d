//! What a client is told of work that other processes do.

use serde_json::{Value, json};
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

use super::world::{World, http};

const FLAKY: &str = "\
namespace: graphs
name: flaky
version: 1.0.0
defaults: { retry: { max_attempts: 2, backoff: fixed, base_ms: 50, jitter: false } }
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.fail, input: { times: 1 }, depends_on: [first] }
";

/// Reads a stream of events up to the end of a task.
async fn read(mut stream: reqwest::Response) -> Vec<Value> {
    let mut text = String::new();
    let mut events: Vec<Value> = Vec::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((line, rest)) = text.split_once('\n') {
            if let Some(data) = line.strip_prefix("data: ") {
                events.push(serde_json::from_str(data).unwrap());
            }
            text = rest.to_owned();
        }
        if events
            .last()
            .is_some_and(|event| event["event"] == "task_finished")
        {
            return events;
        }
    }
    panic!("the stream ended after {events:?}");
}

#[tokio::test]
async fn a_client_is_told_of_a_task_from_its_submission_to_its_end_in_every_mode() {
    for mode in ["Hybrid", "EventDrivenOnly", "PollingOnly"] {
        let world = World::start().await;
        world.apply(FLAKY).await;
        let environment = [("DEPLOYMENT_MODE", mode), ("POLL_INTERVAL_MS", "50")];
        let roles = [
            world.orchestrator(&environment).await,
            world.worker(&environment).await,
        ];
        let url = format!("{}/v1/events?namespace=graphs", roles[0].address);
        let stream = http().get(url).send().await.unwrap();
        assert!(stream.status().is_success());

        let url = format!("{}/v1/tasks", roles[0].address);
        let task = json!({ "namespace": "graphs", "name": "flaky" });
        let answer = http().post(url).json(&task).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let events = timeout(WAIT_TIMEOUT, read(stream)).await.unwrap();

        assert!(
            events
                .iter()
                .all(|event| event["task_uuid"] == answer["task_uuid"])
        );
        let told = events.iter().map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default();
            format!("{} {} {}", text("event"), text("step"), event["attempt"])
        });
        // A step that the worker is handed is not enqueued.
        let told: Vec<_> = told.filter(|told| !told.contains("enqueued")).collect();
        assert_eq!(
            told,
            [
                "task_submitted  null",
                "task_started  null",
                "step_started first 1",
                "step_completed first 1",
                "step_started second 1",
                "step_failed second 1",
                "step_started second 2",
                "step_completed second 2",
                "task_finished  null"
            ],
            "{mode}"
        );
        world.end(roles).await;
    }
}
