//! What holds for every request: paths, methods, ids, bounds, metrics.

use std::time::Duration;

use reqwest::Method;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Answer, Api};

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let api = Api::start().await;
    for path in ["/v1", "/v1/nothing", "/v2/tasks", "/v1/tasks/a/b/c/d"] {
        let problem = api.get(path).await.problem(404, "unknown-route");
        assert_eq!(problem["hint"], "/openapi.json of the API lists every path");
    }
    let problem = api.get("/v1/tasks/").await.problem(404, "unknown-route");
    assert_eq!(problem["hint"], "leave out the slash at the end");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_a_problem_that_lists_those_it_does() {
    let api = Api::start().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/tasks", ["GET", "POST"]),
        (Method::PUT, "/v1/templates", ["GET", "POST"]),
        (Method::POST, "/health/live", ["GET", "HEAD"]),
    ] {
        let answer = Answer::of(api.client.request(method, api.url(path))).await;
        answer.problem(405, "method-not-allowed");
        for method in allowed {
            assert!(answer.header("allow").contains(method), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_requests_id_is_its_own_or_the_clients() {
    let api = Api::start().await;
    let first = api.get("/health/live").await;
    let second = api.get("/v1/nothing").await;
    assert_eq!(first.header("x-request-id").len(), 36);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));

    let request = api.client.get(api.url("/health/live"));
    let named = Answer::of(request.header("x-request-id", "mine-1")).await;
    assert_eq!(named.header("x-request-id"), "mine-1");
}

#[tokio::test]
async fn requests_are_counted_by_the_pattern_of_their_path() {
    let api = Api::start().await;
    let uuid = "01890a5d-ac96-774b-bcce-b302099aabc0";
    api.get(&format!("/v1/tasks/{uuid}/history"))
        .await
        .problem(404, "not-found");
    api.get("/v1/never-seen")
        .await
        .problem(404, "unknown-route");

    let metrics = api.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let counted = r#"method="GET",route="/v1/tasks/{task_uuid}/history",status="404""#;
    assert!(metrics.text.contains(counted), "{}", metrics.text);
    assert!(metrics.text.contains(r#"route="unmatched",status="404""#));
    assert!(!metrics.text.contains(uuid) && !metrics.text.contains("never-seen"));
}

#[tokio::test]
async fn a_browser_is_led_to_the_interface_and_from_there_to_the_documentation() {
    let api = Api::start().await;
    let page = api.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains("href=\"/docs\""));
    let page = api.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("/v1/tasks/{task_uuid}"));
}

/// Sends the head of a request that promises a body, and nothing of the body.
async fn begin_request(api: &Api) -> TcpStream {
    let address = api.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let api =
        Api::configured(|config| config.web.request_timeout = Duration::from_millis(50)).await;
    let mut stream = begin_request(&api).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("urn:tasker:problem:body-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn more_requests_than_may_be_in_progress_are_refused_and_probes_are_not() {
    let api = Api::configured(|config| config.web.max_concurrent_requests = 1).await;
    let stream = begin_request(&api).await;
    wait_until("the place is taken", WAIT_TIMEOUT, async || {
        api.get("/v1/queues").await.status == 503
    })
    .await;

    let refused = api.get("/v1/queues").await;
    refused.problem(503, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    api.get("/health/ready").await.expect(200);

    drop(stream);
    wait_until("the place is free again", WAIT_TIMEOUT, async || {
        api.get("/v1/queues").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let api =
        Api::configured(|config| config.web.request_timeout = Duration::from_millis(100)).await;
    let mut locked = api.database.pool().begin().await.unwrap();
    sqlx::query("lock table tasker.templates")
        .execute(&mut *locked)
        .await
        .unwrap();
    let answer = timeout(WAIT_TIMEOUT, api.get("/v1/templates")).await;
    let answer = answer.unwrap();
    answer.problem(503, "timed-out");
    assert_eq!(answer.header("retry-after"), "1");

    locked.rollback().await.unwrap();
    wait_until("requests are served again", WAIT_TIMEOUT, async || {
        api.get("/v1/templates").await.status == 200
    })
    .await;
}
