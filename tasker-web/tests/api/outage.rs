//! A database that is away, and comes back.

use serde_json::json;
use tasker_testing::{FaultProxy, TestDatabase};

use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn while_the_database_is_away_requests_are_asked_to_come_back_and_then_served() {
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let hasty = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.acquire_timeout_ms = 2000;
    };
    let api = Api::on(proxy.url(), hasty, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;

    proxy.cut();
    let task = json!({"namespace": "shop", "name": "order"});
    for answer in [
        api.get(&format!("/v1/tasks/{uuid}")).await,
        api.get("/v1/tasks").await,
        api.post("/v1/tasks", &task).await,
        api.act(&format!("/v1/tasks/{uuid}/cancel")).await,
        api.get("/v1/queues").await,
    ] {
        let problem = answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(
            problem["detail"],
            "the database did not take or not answer the request"
        );
        assert!(!answer.text.contains("127.0.0.1"), "{answer:?}");
    }
    let ready = api.get("/health/ready").await.expect(503);
    assert_eq!(ready["checks"][0]["name"], "database");
    assert_eq!(ready["checks"][0]["healthy"], false);
    api.get("/health/live").await.expect(200);

    proxy.resume();
    let task = api.get(&format!("/v1/tasks/{uuid}")).await.expect(200);
    assert_eq!(task["state"], "pending");
    api.get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn an_error_of_the_database_is_not_shown() {
    let api = Api::with_template().await;
    sqlx::query("alter table tasker.templates rename column description to secret_column")
        .execute(api.database.pool())
        .await
        .unwrap();
    let answer = api.get("/v1/templates").await;
    let problem = answer.problem(500, "internal");
    assert!(
        !answer.text.contains("description") && !answer.text.contains("42703"),
        "{problem}"
    );
    assert!(problem["hint"].as_str().unwrap().contains("x-request-id"));
}
