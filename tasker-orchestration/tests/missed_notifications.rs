//! Missed notifications are counted, each once, and nothing else is. Metrics belong to the process, so
//! this test has one to itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use tasker_shared::config::DeploymentMode::{self, EventDrivenOnly, Hybrid, PollingOnly};
use tasker_shared::config::TaskerConfig;
use tasker_shared::telemetry::render_prometheus;
use world::World;

/// More than one claim takes.
const MISSED: u64 = 17;

/// The value of a series without labels.
fn value(series: &str) -> u64 {
    let scraped = render_prometheus();
    let mut lines = scraped.lines();
    lines
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or(0)
}

/// Polls often, for what has been ready for a minute.
fn config(world: &World, mode: DeploymentMode) -> TaskerConfig {
    let mut config = world.polling_config(mode);
    let orchestration = &mut config.orchestration;
    orchestration.task_readiness.age_threshold = Duration::from_mins(1);
    orchestration.task_readiness.miss_threshold = Duration::from_mins(1);
    orchestration.claims.batch_size = 3;
    orchestration.timers.max_sleep = Duration::from_millis(50);
    config
}

/// Submits tasks that have been ready for this long, in one transaction, announced or not.
async fn submit(world: &World, tasks: u64, ready_for: &str, announce: &str) {
    let mut transaction = world.pool.begin().await.unwrap();
    sqlx::query(
        "select set_config('tasker.announce', $1, true),
           set_config('tasker.now', (now() - $2::interval)::text, true)",
    )
    .bind(announce)
    .bind(ready_for)
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::query("select tasker.submit_task('shop', 'order', '{}') from generate_series(1, $1)")
        .bind(i64::try_from(tasks).unwrap())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

/// What was counted so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    ready: u64,
    missed: u64,
}

impl Counted {
    fn assert(&self, mode: DeploymentMode) {
        let lag = "tasker_readiness_discovery_lag_seconds";
        assert_eq!(value("tasks_discovered_by_polling"), self.missed, "{mode}");
        assert_eq!(value(&format!("{lag}_count")), self.missed, "{mode}");
        assert_eq!(value(&format!("{lag}_bucket{{le=\"60\"}}")), 0, "{mode}");
        assert_eq!(value("tasks_ready"), self.ready, "{mode}");
    }
}

#[tokio::test]
async fn each_missed_notification_is_counted_and_no_other() {
    let mut counted = Counted::default();
    for mode in [Hybrid, EventDrivenOnly, PollingOnly] {
        let world = World::create().await;
        let listener = world.start(&world.config(EventDrivenOnly)).await;
        world.wait_for_a_listener().await;
        let orchestrator = world.start(&config(&world, mode)).await;

        submit(&world, MISSED, "0 s", "on").await;
        world.wait_until_all_claimed().await;
        submit(&world, MISSED, "2 min", "off").await;
        world.wait_until_all_claimed().await;

        orchestrator.stop().await;
        listener.stop().await;
        counted.ready += 2 * MISSED;
        counted.missed += MISSED;
        counted.assert(mode);
        world.assert_sound().await;
    }

    // Nobody listens, so nothing is missed.
    let world = World::create().await;
    let orchestrator = world.start(&config(&world, PollingOnly)).await;
    submit(&world, MISSED, "2 min", "off").await;
    world.wait_until_all_claimed().await;
    orchestrator.stop().await;
    counted.ready += MISSED;
    counted.assert(PollingOnly);

    // What waits its turn behind other work is as old, and was announced.
    let world = World::create().await;
    let mut config = config(&world, Hybrid);
    config
        .orchestration
        .task_readiness
        .fallback_polling_interval = world::NEVER;
    let orchestrator = world.start(&config).await;
    submit(&world, MISSED, "2 min", "on").await;
    world.wait_until_all_claimed().await;
    orchestrator.stop().await;
    counted.ready += MISSED;
    counted.assert(Hybrid);
}
