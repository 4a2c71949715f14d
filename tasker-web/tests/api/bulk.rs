//! What is done to all tasks that match a filter.

use serde_json::{Value, json};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::support::Api;

async fn with_failed(tasks: usize) -> Api {
    let api = Api::with_template().await;
    for _ in 0..tasks {
        api.submit().await;
        api.fail().await;
    }
    api
}

fn retry(filter: &Value) -> Value {
    json!({"filter": filter, "action": "retry", "reason": "the bank is back"})
}

#[tokio::test]
async fn tasks_that_match_are_counted_and_then_retried_in_the_background() {
    let api = with_failed(3).await;
    let mut request = retry(&json!({"namespace": "shop", "step": "charge"}));
    request["dry_run"] = json!(true);
    let counted = api.post("/v1/bulk", &request).await.expect(200);
    assert_eq!(counted, json!({"matches": 3, "has_more": false}));
    let listed = api.get("/v1/tasks?state=error").await.expect(200);
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 3);

    request["dry_run"] = json!(false);
    let started = api.post("/v1/bulk", &request).await;
    let path = started.header("location").to_owned();
    let uuid = started.expect(202)["bulk_uuid"].clone();
    assert_eq!(path, format!("/v1/bulk/{}", uuid.as_str().unwrap()));
    wait_until("the act has ended", WAIT_TIMEOUT, async || {
        api.get(&path).await.expect(200)["state"] == "finished"
    })
    .await;

    let act = api.get(&path).await.expect(200);
    assert_eq!(
        (&act["done"], &act["reason"]),
        (&json!(3), &json!("the bank is back"))
    );
    let listed = api.get("/v1/tasks?state=in_progress").await.expect(200);
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 3);
    let acts = api.get("/v1/bulk").await.expect(200);
    assert_eq!(acts["acts"], json!([act]));
    // What has ended stays as it is.
    assert_eq!(api.act(&format!("{path}/stop")).await.expect(200), act);
}

#[tokio::test]
async fn a_task_is_retried_with_all_its_failed_steps() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let path = format!("/v1/tasks/{uuid}/retry");
    api.act(&path).await.problem(409, "conflict");
    api.fail().await;
    let task = api.act(&path).await.expect(200);
    assert_eq!(task["state"], "in_progress");
    api.run_to_end().await;
    api.act(&path).await.problem(409, "conflict");
}

#[tokio::test]
async fn what_is_no_act_is_refused() {
    let api = with_failed(1).await;
    for (request, says) in [
        (json!({"action": "retry"}), "filter"),
        (retry(&json!({"colour": "red"})), "colour"),
        (
            retry(&json!({"state": "complete"})),
            "no task that is complete",
        ),
        (json!({"filter": {}, "action": "explode"}), "explode"),
        (retry(&json!({"tasks": []})), "no list of 1 to 500"),
        (retry(&json!({"tasks": ["x"]})), "filter.tasks[0]"),
        (json!({"filter": {}, "action": "cancel"}), "say which state"),
    ] {
        let problem = api
            .post("/v1/bulk", &request)
            .await
            .problem(422, "invalid-input");
        let detail = problem.to_string();
        assert!(detail.contains(says), "{says}: {detail}");
    }
    let long = "x".repeat(2001);
    let request = json!({"filter": {}, "action": "retry", "reason": long});
    api.post("/v1/bulk", &request)
        .await
        .problem(422, "invalid-input");
    let unknown = "/v1/bulk/01890a5d-ac96-774b-bcce-b302099a0000";
    api.get(unknown).await.problem(404, "not-found");
    api.act(&format!("{unknown}/stop"))
        .await
        .problem(404, "not-found");
    api.get("/v1/bulk/x").await.problem(400, "invalid-request");
    assert_eq!(api.get("/v1/bulk").await.expect(200)["acts"], json!([]));
}
