//! What the orchestrator does can be scraped.

mod world;

use tasker_shared::config::DeploymentMode::Hybrid;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

/// Series that a run with a notification, a poll and a claim has to feed.
const FED: [&str; 11] = [
    "task_readiness_events_received{",
    "task_readiness_command_sent",
    "task_readiness_latency_count",
    "fallback_polls_executed",
    "fallback_tasks_found",
    "tasker_steps_claimed_total{",
    "tasker_claim_duration_seconds_count",
    "tasker_claim_batch_steps_count",
    "tasker_ready_to_claimed_seconds_count",
    "tasker_wakeups_total{",
    "tasker_supervised_restarts_total{",
];

/// Whether some sample of the series is above zero.
fn is_fed(scraped: &str, series: &str) -> bool {
    scraped
        .lines()
        .filter(|line| line.starts_with(series))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .any(|value| value > 0.0)
}

#[tokio::test]
async fn every_metric_of_the_orchestrator_is_fed() {
    let world = World::create().await;
    let mut config = world.polling_config(Hybrid);
    config.orchestration.claims.batch_size = 1;
    let orchestrator = world.start(&config).await;

    orchestrator.make_panic("fallback_poller");
    // One claim a step is slow enough for a poll to come in between, sooner or later.
    wait_until("every metric is above zero", WAIT_TIMEOUT, async || {
        for _ in 0..20 {
            world.submit_unannounced().await;
        }
        world.submit(0).await;
        let scraped = render_prometheus();
        FED.iter().all(|series| is_fed(&scraped, series))
    })
    .await;

    world.wait_until_all_claimed().await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
