//! Bodies that cannot be read or make no sense.

use serde_json::json;

use crate::support::Api;

const PATH: &str = "/v1/tasks";

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_its_position() {
    let api = Api::with_template().await;
    let refused = api
        .post_as(PATH, "application/json", "{\n \"name\": }")
        .await;
    let problem = refused.problem(400, "invalid-request");
    assert_eq!(problem["errors"][0]["line"], 2);
    let refused = api.post_as(PATH, "application/json", "").await;
    refused.problem(400, "invalid-request");
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused_with_the_one_that_is_read() {
    let api = Api::with_template().await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let refused = api.post_as(PATH, media_type, "{}").await;
        let problem = refused.problem(415, "unsupported-media-type");
        assert_eq!(
            problem["hint"],
            "send the header content-type: application/json"
        );
    }
}

#[tokio::test]
async fn unknown_and_ill_typed_members_are_refused_by_name() {
    let api = Api::with_template().await;
    let task = json!({"namespace": "shop", "name": "order", "idempotency": "k"});
    let problem = api.post(PATH, &task).await.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "idempotency");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("idempotency_key"),
        "{problem}"
    );

    let task = json!({"namespace": "shop", "name": "order", "priority": "high"});
    let problem = api.post(PATH, &task).await.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "priority");

    let problem = api.post(PATH, &json!({"name": "order"})).await;
    let problem = problem.problem(422, "invalid-input");
    assert!(
        problem["detail"].as_str().unwrap().contains("namespace"),
        "{problem}"
    );
}

#[tokio::test]
async fn tasks_are_not_read_from_the_order_of_an_array() {
    let api = Api::with_template().await;
    let task = json!(["shop", "order", null, {}, 0, null]);
    api.post(PATH, &task).await.problem(422, "invalid-input");
    let refused = api
        .post(&format!("{PATH}/batch"), &json!({"tasks": [task]}))
        .await;
    assert_eq!(
        refused.problem(422, "invalid-input")["detail"],
        "tasks[0]: invalid type: sequence, expected a JSON object"
    );
}

#[tokio::test]
async fn values_that_the_engine_refuses_are_refused_in_its_words() {
    let api = Api::with_template().await;
    for (member, value) in [
        ("context", json!([1])),
        ("priority", json!(1_000_000)),
        ("idempotency_key", json!("k".repeat(256))),
        ("idempotency_key", json!("")),
    ] {
        let mut task = json!({"namespace": "shop", "name": "order"});
        task[member] = value;
        let problem = api.post(PATH, &task).await.problem(422, "invalid-input");
        assert!(
            problem["detail"].as_str().unwrap().contains(member),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_character_that_cannot_be_stored_is_refused_with_its_place() {
    let api = Api::with_template().await;
    for (member, value, path) in [
        ("context", json!({"note": ["a\0"]}), "context.note[0]"),
        ("idempotency_key", json!("k\0"), "idempotency_key"),
        ("name", json!("order\0"), "name"),
        ("version", json!("\0"), "version"),
    ] {
        let mut task = json!({"namespace": "shop", "name": "order"});
        task[member] = value;
        let problem = api.post(PATH, &task).await.problem(422, "invalid-input");
        assert_eq!(problem["errors"][0]["path"], path);
    }
}

#[tokio::test]
async fn a_body_larger_than_the_limit_is_refused() {
    let api = Api::configured(|config| config.web.max_request_bytes = 10_000).await;
    let refused = api
        .post_as(PATH, "application/json", vec![b' '; 10_001])
        .await;
    refused.problem(413, "body-too-large");

    let chunks = (0..11).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000]));
    let undeclared = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let refused = api.post_as(PATH, "application/json", undeclared).await;
    refused.problem(413, "body-too-large");

    let accepted = api
        .post_as(PATH, "application/json", vec![b' '; 10_000])
        .await;
    accepted.problem(400, "invalid-request");
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_hears_why_it_is_refused() {
    let api = Api::start().await;
    let refused = api
        .post_as(PATH, "application/json", vec![b' '; 64 << 20])
        .await;
    refused.problem(413, "body-too-large");
}
