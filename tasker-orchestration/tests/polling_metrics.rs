//! What polling found is counted as commands that were sent. Metrics belong to the process, so this
//! test has one to itself.

mod world;

use tasker_shared::config::DeploymentMode::PollingOnly;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

/// The value of a series without labels.
fn value(scraped: &str, series: &str) -> Option<f64> {
    let mut lines = scraped.lines();
    lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn each_task_that_polling_finds_is_a_command() {
    let world = World::create().await;
    let orchestrator = world.start(&world.polling_config(PollingOnly)).await;

    wait_until("polling has found a task", WAIT_TIMEOUT, async || {
        world.submit_unannounced().await;
        value(&render_prometheus(), "fallback_tasks_found") > Some(0.0)
    })
    .await;

    world.wait_until_all_claimed().await;
    orchestrator.stop().await;
    let scraped = render_prometheus();
    let sent = value(&scraped, "task_readiness_command_sent");
    assert_eq!(sent, value(&scraped, "fallback_tasks_found"));
    world.assert_sound().await;
}
