//! A database that is away and comes back, or is behind a pooler.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tasker_testing::{FaultProxy, PgBouncer, TestDatabase};

use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn while_the_database_is_away_requests_are_asked_to_come_back_and_then_served() {
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let hasty = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.acquire_timeout = Duration::from_secs(2);
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

#[tokio::test]
async fn submissions_go_through_a_pooler_in_transaction_mode() {
    let database = TestDatabase::create().await;
    let Some(pooler) = PgBouncer::to(database.url(), &[]).await else {
        return;
    };
    let transactions = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.pooler = tasker_shared::config::Pooler::Transaction;
        config.database.listen_url = database.url().into();
    };
    let api = Api::on(pooler.url(), transactions, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let task = |index: usize| {
        let key = format!("k{}", index % 10);
        json!({"namespace": "shop", "name": "order", "idempotency_key": key})
    };
    let tasks: Vec<_> = (0..30).map(task).collect();
    let answers = join_all(tasks.iter().map(|task| api.post("/v1/tasks", task))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let known = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, known), (10, 20), "{answers:?}");
    let batch = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;
    batch.expect(200);
    api.stopped().await;
}
