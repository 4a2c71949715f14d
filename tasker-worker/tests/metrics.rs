//! The metrics of a worker. They belong to the process, so this test has one to itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::json;
use tasker_shared::state::TaskState;
use tasker_shared::telemetry::render_prometheus;
use tasker_worker::Handlers;
use world::World;

#[tokio::test]
async fn the_metrics_of_a_worker_are_fed_by_a_run() {
    let world = World::create().await;
    world
        .template(
            "all",
            "  - { name: good, handler: builtin.noop }
  - { name: again, handler: builtin.fail, input: { times: 1 } }
  - { name: bad, handler: builtin.fail, input: { retryable: false } }
  - { name: worse, handler: builtin.fail, retry: { max_attempts: 1 } }",
        )
        .await;
    let task = world.submit("all", json!({})).await;
    let worker = world.start(Handlers::new());
    world.run_to(task, TaskState::Error).await;
    worker.drain().await;

    let scraped = render_prometheus();
    let failed = |namespace: &str, reason: &str, count: u64| {
        let labels = format!("namespace=\"{namespace}\",reason=\"{reason}\"");
        let sample = format!("tasker_steps_failed_total{{{labels}}} {count}");
        assert!(
            scraped.lines().any(|line| line == sample),
            "{sample}\n{scraped}"
        );
    };
    failed("shop", "permanent", 1);
    failed("shop", "retries_exhausted", 1);
    assert!(
        !scraped.contains("events_published_total"),
        "events were made although nobody subscribed:\n{scraped}"
    );
    for sample in [
        "tasker_steps_received_total 5",
        "tasker_step_outcomes_total{outcome=\"complete\"} 2",
        "tasker_step_outcomes_total{outcome=\"fail\"} 1",
        "tasker_step_outcomes_total{outcome=\"retry\"} 2",
        "tasker_step_duration_seconds_count{handler=\"builtin.noop\"} 1",
        "tasker_worker_running_steps 0",
        "tasker_worker_concurrency 0",
        "tasker_wakeups_total{loop=\"worker_receive\",reason=\"start\"} 1",
        "tasker_listener_connections_total{listener=\"worker\"} 1",
    ] {
        assert!(
            scraped.lines().any(|line| line == sample),
            "{sample}\n{scraped}"
        );
    }
}
