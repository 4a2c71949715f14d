//! The loop that prunes history.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use sqlx::AssertSqlSafe;
use tasker_shared::config::DeploymentMode::PollingOnly;
use tasker_shared::config::{ArchiveTarget, TaskerConfig};
use tasker_shared::operator::Action;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

/// Has processes that are started from now on act as if it were two days later.
async fn two_days_later(world: &World) {
    let moved = format!(
        "do $$ begin execute format(
           'alter database {} set tasker.now = %L', now() + interval '2 days'
         ); end $$",
        world.db.name()
    );
    sqlx::raw_sql(AssertSqlSafe(moved))
        .execute(&world.pool)
        .await
        .unwrap();
}

/// Submits a task and cancels it, today.
async fn cancelled_task(world: &World) {
    let task = world.submit_unannounced().await;
    let mut transaction = world.pool.begin().await.unwrap();
    sqlx::query("set local tasker.now to ''")
        .execute(&mut *transaction)
        .await
        .unwrap();
    Action::CancelTask
        .carry_out(&mut transaction, task, "me", None)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn tasks(world: &World) -> i64 {
    let count = sqlx::query_scalar("select count(*) from tasker.tasks");
    count.fetch_one(&world.pool).await.unwrap()
}

fn keeping_a_day(world: &World) -> TaskerConfig {
    let mut config = world.config(PollingOnly);
    config.retention.cancelled_days = 1;
    config.retention.interval = std::time::Duration::from_millis(100);
    config.retention.pause = std::time::Duration::ZERO;
    config
}

#[tokio::test]
async fn two_orchestrators_delete_what_is_due_once_and_go_on_looking() {
    let world = World::create().await;
    let mut config = keeping_a_day(&world);
    config.retention.archive = ArchiveTarget::Table;
    config.retention.batch_size = 2;
    two_days_later(&world).await;
    let both = [world.start(&config).await, world.start(&config).await];
    for round in 1..=2 {
        for _ in 0..6 {
            cancelled_task(&world).await;
        }
        wait_until("all are gone", WAIT_TIMEOUT, async || {
            tasks(&world).await == 0
        })
        .await;
        let archived = sqlx::query_scalar("select count(*) from tasker.archived_tasks");
        let archived: i64 = archived.fetch_one(&world.pool).await.unwrap();
        assert_eq!(archived, 6 * round);
    }
    let scraped = render_prometheus();
    let series = r#"tasker_tasks_pruned_total{namespace="shop",outcome="cancelled""#;
    assert!(
        scraped.lines().any(|line| line.starts_with(series)),
        "{scraped}"
    );
    for orchestrator in both {
        orchestrator.stop().await;
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_keeps_the_tasks_and_the_orchestrator() {
    let world = World::create().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut config = keeping_a_day(&world);
    config.retention.archive = ArchiveTarget::File;
    config.retention.archive_folder = file.path().to_str().unwrap().to_owned();
    cancelled_task(&world).await;
    two_days_later(&world).await;
    let orchestrator = world.start(&config).await;
    wait_until("it was tried", WAIT_TIMEOUT, async || {
        render_prometheus().lines().any(|line| {
            line.contains(r#"call="sweep_history""#) && line.contains(r#"result="error""#)
        })
    })
    .await;
    assert_eq!(tasks(&world).await, 1);
    orchestrator.stop().await;
    world.assert_sound().await;
}
