//! What operators do to tasks and steps.

use serde_json::{Value, json};
use tasker_shared::steps::{StepError, StepOutcome};

use crate::support::Api;

fn step<'a>(task: &'a Value, name: &str) -> &'a Value {
    let steps = task["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap()
}

#[tokio::test]
async fn a_task_shows_what_its_steps_returned_and_why_they_failed() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;

    let task = api.get(&format!("/v1/tasks/{uuid}")).await.expect(200);
    assert_eq!(task["state"], "error");
    assert_eq!(task["execution_status"], "blocked_by_failures");
    let charge = step(&task, "charge");
    assert_eq!(charge["state"], "error");
    assert_eq!(charge["attempts"], 1);
    assert_eq!(
        charge["error"],
        json!({"kind": "handler_failed", "message": "card refused", "details": {"code": 51}})
    );
    assert_eq!(step(&task, "ship")["state"], "pending");
}

#[tokio::test]
async fn a_cancelled_task_never_starts_what_had_not_started() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let path = format!("/v1/tasks/{uuid}/cancel");
    let task = api.post(&path, &json!({"reason": "ordered twice"})).await;

    let task = task.expect(200);
    assert_eq!(task["state"], "cancelled");
    assert_eq!(task["reason"], "ordered twice");
    assert_eq!(step(&task, "ship")["state"], "cancelled");
    assert!(api.receive().await.is_empty());
}

#[tokio::test]
async fn a_task_that_ended_cannot_be_cancelled() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.run_to_end().await;
    let refused = api.act(&format!("/v1/tasks/{uuid}/cancel")).await;
    refused.problem(409, "conflict");
}

#[tokio::test]
async fn a_failed_task_can_be_resolved_and_another_not() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let path = format!("/v1/tasks/{uuid}/resolve");
    api.act(&path).await.problem(409, "conflict");
    api.fail().await;
    let task = api
        .post(&path, &json!({"reason": "refunded"}))
        .await
        .expect(200);
    assert_eq!(task["state"], "resolved_manually");
    assert_eq!(task["reason"], "refunded");
}

#[tokio::test]
async fn a_retried_step_runs_again_and_the_task_goes_on() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let path = format!("/v1/tasks/{uuid}/steps/charge/retry");
    let task = api.act(&path).await.expect(200);
    assert_eq!(task["state"], "in_progress");
    assert_eq!(step(&task, "charge")["state"], "pending");

    api.run_to_end().await;
    let task = api.get(&format!("/v1/tasks/{uuid}")).await.expect(200);
    assert_eq!(task["state"], "complete");
    assert_eq!(step(&task, "charge")["attempts"], 2);
}

#[tokio::test]
async fn a_skipped_step_lets_its_dependents_run() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let path = format!("/v1/tasks/{uuid}/steps/charge/skip");
    let task = api
        .post(&path, &json!({"reason": "gift"}))
        .await
        .expect(200);
    assert_eq!(step(&task, "charge")["state"], "skipped");

    let ship = api.receive().await;
    assert_eq!(ship[0].dependency_results["charge"], Value::Null);
}

#[tokio::test]
async fn a_resolved_step_hands_its_result_to_its_dependents() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let path = format!("/v1/tasks/{uuid}/steps/charge/resolve");
    let body = json!({"result": {"paid": true}, "reason": "paid in cash"});
    let task = api.post(&path, &body).await.expect(200);
    assert_eq!(step(&task, "charge")["state"], "resolved_manually");
    assert_eq!(step(&task, "charge")["result"], json!({"paid": true}));

    let ship = api.receive().await;
    assert_eq!(ship[0].dependency_results["charge"], json!({"paid": true}));
}

#[tokio::test]
async fn a_running_step_cannot_be_settled_or_retried() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    assert_eq!(api.receive().await.len(), 1);
    for action in ["retry", "skip", "resolve"] {
        let refused = api
            .act(&format!("/v1/tasks/{uuid}/steps/charge/{action}"))
            .await;
        refused.problem(409, "conflict");
    }
}

#[tokio::test]
async fn unknown_tasks_and_steps_are_not_found() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a0000";
    for path in [
        format!("/v1/tasks/{uuid}/steps/nothing/retry"),
        format!("/v1/tasks/{uuid}/steps/nothing/skip"),
        format!("/v1/tasks/{unknown}/steps/charge/resolve"),
        format!("/v1/tasks/{unknown}/cancel"),
        format!("/v1/tasks/{unknown}/resolve"),
    ] {
        api.act(&path).await.problem(404, "not-found");
    }
    for path in [
        format!("/v1/tasks/{unknown}"),
        format!("/v1/tasks/{unknown}/history"),
        format!("/v1/tasks/{unknown}?wait_ms=10"),
    ] {
        api.get(&path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn the_uuid_of_a_step_is_told_from_that_of_a_task() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let task = api.get(&format!("/v1/tasks/{uuid}")).await.expect(200);
    let step_uuid = step(&task, "ship")["step_uuid"].as_str().unwrap();
    let problem = api.get(&format!("/v1/tasks/{step_uuid}")).await;
    let hint = problem.problem(404, "not-found")["hint"].clone();
    assert!(hint.as_str().unwrap().contains(&uuid), "{hint}");
}

#[tokio::test]
async fn what_is_no_uuid_is_refused() {
    let api = Api::with_template().await;
    for path in ["/v1/tasks/7", "/v1/tasks/7/history", "/v1/tasks/%FF"] {
        api.get(path).await.problem(400, "invalid-request");
    }
    for path in ["/v1/tasks/7/cancel", "/v1/tasks/7/steps/charge/skip"] {
        api.act(path).await.problem(400, "invalid-request");
    }
}

#[tokio::test]
async fn members_that_an_action_does_not_take_are_refused() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let path = format!("/v1/tasks/{uuid}/steps/charge/retry");
    let problem = api.post(&path, &json!({"result": 1})).await;
    let problem = problem.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "result");
    for body in [
        json!({"reason": "\0"}),
        json!({"reason": "x".repeat(2001)}),
        json!({"result": {"\0": 1}}),
    ] {
        let path = format!("/v1/tasks/{uuid}/steps/charge/resolve");
        api.post(&path, &body).await.problem(422, "invalid-input");
    }
    let plain = api.post_as(&path, "text/plain", "because").await;
    plain.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn the_history_tells_every_move_and_who_made_it() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.run(StepOutcome::Fail(StepError {
        kind: "handler_failed".to_owned(),
        message: "card refused".to_owned(),
        details: None,
    }))
    .await;
    let skip = format!("/v1/tasks/{uuid}/steps/charge/skip");
    api.post(&skip, &json!({"reason": "gift"}))
        .await
        .expect(200);

    let history = api
        .get(&format!("/v1/tasks/{uuid}/history"))
        .await
        .expect(200);
    assert_eq!(history["task_uuid"], uuid.as_str());
    let moves = history["transitions"].as_array().unwrap();
    let of_charge: Vec<_> = moves
        .iter()
        .filter(|transition| transition["step_name"] == "charge")
        .map(|transition| transition["to_state"].as_str().unwrap())
        .collect();
    assert_eq!(of_charge, ["enqueued", "in_progress", "error", "skipped"]);
    let skipped = moves
        .iter()
        .find(|transition| transition["to_state"] == "skipped")
        .unwrap();
    assert_eq!(skipped["reason"], "gift");
    assert_eq!(skipped["actor"], "operator:rest");
}
