//! `builtin.http` against a server.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tasker_shared::state::TaskState;
use tasker_shared::tasks::StepDetail;
use tasker_worker::Handlers;
use tokio::net::TcpListener;
use world::{World, error_of};

#[derive(Clone, Default)]
struct Shop {
    calls: Arc<AtomicUsize>,
}

async fn order(headers: HeaderMap, Json(body): Json<Value>) -> Json<Value> {
    Json(json!({
        "body": body,
        "token": headers["x-token"].to_str().unwrap(),
        "key": headers["idempotency-key"].to_str().unwrap(),
    }))
}

/// Busy at the first call.
async fn busy(State(shop): State<Shop>) -> Response {
    if shop.calls.fetch_add(1, Ordering::Relaxed) == 0 {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response();
    }
    "free".into_response()
}

async fn teapot() -> (StatusCode, &'static str) {
    (StatusCode::IM_A_TEAPOT, "no coffee here")
}

async fn flood() -> Vec<u8> {
    vec![b'x'; 8 << 20]
}

/// Serves the shop and returns its address.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/order", post(order))
        .route("/busy", get(busy))
        .route("/teapot", get(teapot))
        .route("/flood", get(flood))
        .with_state(Shop::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn call(input: &str, state: TaskState) -> StepDetail {
    let world = World::create().await;
    let step = format!("{{ name: only, handler: builtin.http, input: {input} }}");
    world
        .run_one(&step, json!({}), Handlers::new(), state)
        .await
}

#[tokio::test]
async fn a_request_is_sent_as_the_template_says_and_its_answer_is_the_result() {
    let server = serve().await;

    let step = call(
        &format!(
            "{{ method: post, url: '{server}/order', headers: {{ X-Token: secret }}, \
             body: {{ order_id: 7 }} }}"
        ),
        TaskState::Complete,
    )
    .await;

    let result = step.result.unwrap();
    assert_eq!(result["status"], 200);
    assert_eq!(result["headers"]["content-type"], "application/json");
    assert_eq!(
        result["body"],
        json!({ "body": { "order_id": 7 }, "token": "secret", "key": step.step_uuid })
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let server = serve().await;

    let step = call(&format!("{{ url: '{server}/busy' }}"), TaskState::Complete).await;

    assert_eq!(step.attempts, 2);
    assert_eq!(step.result.unwrap()["body"], "free");
}

#[tokio::test]
async fn a_request_that_the_server_refuses_is_not_repeated() {
    let server = serve().await;

    let step = call(&format!("{{ url: '{server}/teapot' }}"), TaskState::Error).await;

    assert_eq!(step.attempts, 1);
    assert_eq!(error_of(&step).0, "http_status");
    assert_eq!(
        step.error.unwrap()["details"],
        json!({ "status": 418, "body": "no coffee here" })
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let input = format!("{{ url: 'http://user:secret@{address}/?token=secret' }}");
    let step = call(&input, TaskState::Error).await;

    assert_eq!(step.attempts, 3);
    let (kind, message) = error_of(&step);
    assert_eq!(kind, "http_unreachable");
    assert!(!message.contains("secret"), "{message}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_taken_in() {
    let server = serve().await;

    let step = call(&format!("{{ url: '{server}/flood' }}"), TaskState::Error).await;

    assert_eq!(step.attempts, 1);
    assert_eq!(error_of(&step).0, "result_too_large");
}
