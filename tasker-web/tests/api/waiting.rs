//! Requests that wait for the end of a task.

use std::time::Duration;

use serde_json::Value;
use tasker_shared::config::DeploymentMode;
use tasker_testing::{FaultProxy, TestDatabase, WAIT_TIMEOUT};
use tokio::time::timeout;

use crate::support::{Api, TEMPLATE};

/// Longer than any test runs: who waits this long was not woken.
const LONG: &str = "3600000";

fn patient(config: &mut tasker_shared::config::TaskerConfig) {
    config.web.max_wait = Duration::from_hours(1);
}

async fn waiting(api: &Api, uuid: &str) -> Value {
    let path = format!("/v1/tasks/{uuid}?wait_ms={LONG}");
    let answer = timeout(WAIT_TIMEOUT, api.get(&path)).await;
    answer.expect("nobody woke the request").expect(200)
}

/// Ends the task once a request waits for it, and gives the answer.
async fn end_while_waiting(api: &Api, uuid: &str) -> Value {
    let (task, ()) = tokio::join!(waiting(api, uuid), async {
        api.until_waiting(1).await;
        api.run_to_end().await;
    });
    task
}

#[tokio::test]
async fn a_wait_ends_with_the_task() {
    for mode in [DeploymentMode::Hybrid, DeploymentMode::PollingOnly] {
        let api = Api::configured(|config| {
            patient(config);
            config.orchestration.deployment.mode = mode;
        })
        .await;
        api.apply(TEMPLATE).await;
        let uuid = api.submit().await;
        assert_eq!(end_while_waiting(&api, &uuid).await["state"], "complete");
    }
}

#[tokio::test]
async fn every_end_ends_a_wait() {
    let api = Api::configured(patient).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    let (task, ()) = tokio::join!(waiting(&api, &uuid), async {
        api.until_waiting(1).await;
        api.fail().await;
    });
    assert_eq!(task["state"], "error");

    let uuid = api.submit().await;
    let cancel = format!("/v1/tasks/{uuid}/cancel");
    let (task, _) = tokio::join!(waiting(&api, &uuid), async {
        api.until_waiting(1).await;
        api.act(&cancel).await.expect(200)
    });
    assert_eq!(task["state"], "cancelled");
}

#[tokio::test]
async fn a_task_that_has_ended_is_not_waited_for() {
    let api = Api::configured(patient).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    api.run_to_end().await;
    assert_eq!(waiting(&api, &uuid).await["state"], "complete");
}

#[tokio::test]
async fn a_wait_whose_time_is_over_shows_the_task_as_it_is() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    for wait in ["0", "1", "50"] {
        let task = api.get(&format!("/v1/tasks/{uuid}?wait_ms={wait}")).await;
        assert_eq!(task.expect(200)["state"], "pending");
    }
}

#[tokio::test]
async fn a_wait_is_no_longer_than_the_server_allows() {
    let api = Api::configured(|config| config.web.max_wait = Duration::from_millis(20)).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    assert_eq!(waiting(&api, &uuid).await["state"], "pending");
}

#[tokio::test]
async fn what_is_no_time_is_refused() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    for wait in ["-1", "soon", "", "1.5"] {
        let refused = api.get(&format!("/v1/tasks/{uuid}?wait_ms={wait}")).await;
        refused.problem(400, "invalid-request");
    }
}

#[tokio::test]
async fn many_requests_wait_for_one_task() {
    let api = Api::configured(patient).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    let waits = futures::future::join_all((0..20).map(|_| waiting(&api, &uuid)));
    let (tasks, ()) = tokio::join!(waits, async {
        api.until_waiting(20).await;
        api.run_to_end().await;
    });
    assert!(tasks.iter().all(|task| task["state"] == "complete"));
}

#[tokio::test]
async fn more_requests_than_may_wait_are_refused() {
    let api = Api::configured(|config| {
        patient(config);
        config.web.max_concurrent_requests = 2;
    })
    .await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    let path = format!("/v1/tasks/{uuid}?wait_ms={LONG}");
    let mut first = Box::pin(api.get(&path));
    let mut second = Box::pin(api.get(&path));

    // One of the two waits, the other is refused, whichever was first.
    let refused = tokio::select! {
        refused = &mut first => refused,
        refused = &mut second => refused,
    };
    refused.problem(503, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    let look = api.get(&format!("/v1/tasks/{uuid}")).await;
    assert_eq!(look.expect(200)["state"], "pending");
}

#[tokio::test]
async fn a_wait_survives_the_loss_of_the_database() {
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let workers = Api::on(database.url(), |_| {}, Vec::new()).await;
    workers.apply(TEMPLATE).await;
    let api = Api::on(proxy.url(), patient, Vec::new()).await;
    let uuid = workers.submit().await;

    let (task, ()) = tokio::join!(waiting(&api, &uuid), async {
        api.until_waiting(1).await;
        proxy.cut();
        workers.run_to_end().await;
        proxy.resume();
    });
    assert_eq!(task["state"], "complete");
}

#[tokio::test]
async fn a_server_that_stops_answers_those_who_wait() {
    let api = Api::configured(patient).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    let (task, ()) = tokio::join!(waiting(&api, &uuid), async {
        api.until_waiting(1).await;
        api.stop();
    });
    assert_eq!(task["state"], "pending");
}
