//! Tasks whose results are too large for one answer.

use serde_json::{Value, json};

use crate::document::assert_fits;
use crate::support::Api;

/// Characters of a result; two of them are more than an answer may have.
const LENGTH: i32 = 17 * 1024 * 1024;

/// A complete task with two large results.
async fn large_task(api: &Api) -> String {
    let uuid = api.submit().await;
    for step in ["charge", "ship"] {
        sqlx::query(
            "select tasker.settle_step($1::uuid, $2, 'resolved_manually', \
             to_jsonb(repeat('x', $3)), 'me')",
        )
        .bind(&uuid)
        .bind(step)
        .bind(LENGTH)
        .execute(api.database.pool())
        .await
        .unwrap();
    }
    uuid
}

#[tokio::test]
async fn a_task_with_very_large_results_is_answered_without_them_and_each_can_be_read() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    let uuid = large_task(&api).await;
    let path = format!("/v1/tasks/{uuid}");

    for path in [path.clone(), format!("{path}?wait_ms=1000")] {
        let task = api.get(&path).await.expect(200);
        assert_fits(&document, "Task", &task);
        assert_eq!(task["state"], "complete");
        assert_eq!(task["results_omitted"], true);
        for step in task["steps"].as_array().unwrap() {
            assert_eq!(step["result"], Value::Null);
            assert!(step["result_bytes"].as_i64().unwrap() >= i64::from(LENGTH));
        }
    }
    let step = api.get(&format!("{path}/steps/ship")).await.expect(200);
    assert_fits(&document, "Step", &step);
    assert_eq!(step["name"], "ship");
    assert_eq!(step["depends_on"], json!(["charge"]));
    assert_eq!(
        step["result"].as_str().unwrap().len(),
        usize::try_from(LENGTH).unwrap()
    );
}

#[tokio::test]
async fn a_task_with_ordinary_results_has_them_and_their_sizes() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.run_to_end().await;

    let task = api.get(&format!("/v1/tasks/{uuid}")).await.expect(200);

    assert_eq!(task["results_omitted"], false);
    for step in task["steps"].as_array().unwrap() {
        assert_ne!(step["result"], Value::Null);
        assert!(step["result_bytes"].as_i64().unwrap() > 0);
    }
}

#[tokio::test]
async fn a_step_that_is_not_there_is_named_with_those_that_are() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;

    let answer = api.get(&format!("/v1/tasks/{uuid}/steps/chrage")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("charge, ship"), "{}", answer.text);
    let nobody = "01890a5d-ac96-774b-bcce-b302099a0000";
    let answer = api.get(&format!("/v1/tasks/{nobody}/steps/charge")).await;
    assert_eq!(answer.status, 404);
    let answer = api.get("/v1/tasks/x/steps/charge").await;
    assert_eq!(answer.status, 400);
    let answer = api.get(&format!("/v1/tasks/{uuid}/steps/charge?x=1")).await;
    assert_eq!(answer.status, 400);
}
