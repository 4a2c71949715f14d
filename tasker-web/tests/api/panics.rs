//! Loops of the server that panic: they start again with their state, and no client notices.

use std::time::Duration;

use tasker_shared::config::DeploymentMode;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tokio::time::timeout;

use crate::events::Events;
use crate::support::{Api, TEMPLATE};

/// Long enough that what a test does after a panic is done before the loop runs again.
const RESTART_MS: u64 = 500;

async fn api() -> Api {
    let api = Api::configured(|config| {
        config.web.max_wait = Duration::from_hours(1);
        // Nothing but the loop that looks tells of ends.
        config.orchestration.deployment.mode = DeploymentMode::PollingOnly;
        config.event_systems.supervisor.restart_min = Duration::from_millis(RESTART_MS);
    })
    .await;
    api.apply(TEMPLATE).await;
    api
}

/// Makes the loop panic, and returns while it does not run.
async fn panicked(api: &Api, name: &str, check: &str) {
    assert!(api.make_panic(name), "{name} does not run");
    wait_until("the loop is gone", WAIT_TIMEOUT, async || {
        let ready = api.get("/health/ready").await.json();
        let mut checks = ready["checks"].as_array().unwrap().iter();
        checks.any(|it| it["name"] == check && it["healthy"] == false)
    })
    .await;
}

#[tokio::test]
async fn a_request_that_waits_for_a_task_outlives_a_panic_of_the_loop_that_looks() {
    let api = api().await;
    let uuid = api.submit().await;
    let path = format!("/v1/tasks/{uuid}?wait_ms=3600000");

    let (answer, ()) = tokio::join!(timeout(WAIT_TIMEOUT, api.get(&path)), async {
        api.until_waiting(1).await;
        panicked(&api, "task_waiter", "task_waiter").await;
        api.run_to_end().await;
    });

    let task = answer.expect("nobody woke the request").expect(200);
    assert_eq!(task["state"], "complete");
    api.stopped().await;
}

#[tokio::test]
async fn the_loop_that_listens_for_ends_listens_again() {
    let api = Api::configured(|config| config.web.max_wait = Duration::from_hours(1)).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    panicked(&api, "task_waiter_listener", "task_waiter").await;
    wait_until("it listens again", WAIT_TIMEOUT, async || {
        api.get("/health/ready").await.status == 200
    })
    .await;
    let path = format!("/v1/tasks/{uuid}?wait_ms=3600000");

    let (answer, ()) = tokio::join!(timeout(WAIT_TIMEOUT, api.get(&path)), async {
        api.until_waiting(1).await;
        api.run_to_end().await;
    });

    let task = answer.expect("nobody woke the request").expect(200);
    assert_eq!(task["state"], "complete");
}

#[tokio::test]
async fn a_subscriber_misses_nothing_that_happened_while_the_loop_that_reads_was_gone() {
    let api = api().await;
    let mut events = Events::of(&api, "").await;

    panicked(&api, "event_feed", "event_feed").await;
    api.submit().await;
    api.run_to_end().await;

    let told = events.told(4).await;
    assert!(told.iter().all(|it| !it.starts_with("lagged")), "{told:?}");
    assert!(told[0].starts_with("task"), "{told:?}");
    api.stopped().await;
}

#[tokio::test]
async fn what_was_to_be_submitted_is_submitted_after_a_panic() {
    let api = api().await;

    panicked(&api, "web_submitter", "submitter").await;

    let uuid = timeout(WAIT_TIMEOUT, api.submit()).await;
    assert!(uuid.is_ok(), "the submission was not answered");
    api.stopped().await;
}

#[tokio::test]
async fn a_server_stops_while_every_loop_waits_to_be_started_again() {
    let api = Api::configured(|config| {
        config.event_systems.supervisor.restart_min = Duration::from_hours(1);
        config.event_systems.supervisor.restart_max = Duration::from_hours(1);
    })
    .await;
    for (name, check) in [
        ("task_waiter", "task_waiter"),
        ("task_waiter_listener", "task_waiter"),
        ("event_feed", "event_feed"),
        ("web_submitter", "submitter"),
    ] {
        panicked(&api, name, check).await;
    }

    api.stopped().await;
}
