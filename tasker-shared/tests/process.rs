//! How a process starts: what it waits for, and what it does not.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::process::{StartError, database, set_up};
use tasker_shared::schema::SchemaState;
use tasker_testing::{FaultProxy, TestDatabase};
use tokio_util::sync::CancellationToken;

fn config(url: &str) -> TaskerConfig {
    let mut config = TaskerConfig::default();
    config.database.url = url.into();
    config
}

#[tokio::test]
async fn logs_that_a_program_has_set_up_itself_go_on_as_they_are() {
    tracing_subscriber::fmt().with_test_writer().init();

    set_up(&TaskerConfig::default(), "worker").unwrap();
}

#[tokio::test]
async fn a_database_that_stays_away_is_given_up_in_time_with_the_last_error() {
    let config = config("postgres://app:secret@127.0.0.1:1/app");
    let longest = Duration::from_millis(150);
    let stop = CancellationToken::new();

    let given_up = database(&config, DeploymentMode::Hybrid, longest, &stop).await;

    let error = given_up.unwrap_err();
    assert!(matches!(error, StartError::GaveUp { .. }), "{error}");
    let text = format!("{error} {}", error.hint().unwrap());
    assert!(text.starts_with("gave up after 150ms: "), "{text}");
    assert!(
        text.contains("127.0.0.1:1") && text.contains("DATABASE_URL"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_a_database_that_does_not_answer() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    proxy.blackhole();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let config = config(proxy.url());
    let waiting = tokio::spawn(async move {
        database(&config, DeploymentMode::Hybrid, Duration::MAX, &asked).await
    });

    stop.cancel();

    assert!(waiting.await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused_at_once() {
    let empty = TestDatabase::empty().await;
    let stop = CancellationToken::new();
    let config = config(empty.url());

    let refused = database(&config, DeploymentMode::Hybrid, Duration::MAX, &stop).await;

    let error = refused.unwrap_err();
    assert!(
        matches!(error, StartError::Schema(SchemaState::Missing)),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("tasker migrate"));
}
