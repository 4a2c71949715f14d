//! Tasks found by values in their contexts.

use serde_json::{Value, json};

use crate::support::{Api, TEMPLATE};

/// Three orders: 41, 42, and 43 of another customer.
async fn with_orders() -> Api {
    let api = Api::start().await;
    let template = format!(
        "search: [order_id, customer.email]\n{}",
        TEMPLATE.trim_start()
    );
    api.apply(&template).await;
    for (order_id, email) in [
        (41, "bob@mail.test"),
        (42, "bob@mail.test"),
        (43, "ann@mail.test"),
    ] {
        let context = json!({"order_id": order_id, "customer": {"email": email}});
        let task = json!({"namespace": "shop", "name": "order", "context": context});
        api.post("/v1/tasks", &task).await.expect(201);
    }
    api
}

async fn count(api: &Api, query: &str) -> usize {
    let page = api.get(&format!("/v1/tasks?{query}")).await.expect(200);
    page["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn tasks_are_found_by_conditions_that_all_hold() {
    let api = with_orders().await;
    for (query, expected) in [
        ("where=order_id=42", 1),
        ("where=order_id%3D42&limit=10", 1),
        ("where=order_id%3E41", 2),
        ("where=customer.email%5E=bob@", 2),
        (
            "where=customer.email%5E=bob@&where=order_id%3C42&state=pending",
            1,
        ),
        ("where=order_id=44", 0),
    ] {
        assert_eq!(count(&api, query).await, expected, "{query}");
    }
    let first = api
        .get("/v1/tasks?where=order_id%3E0&limit=2")
        .await
        .expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let query = format!("where=order_id%3E0&limit=2&cursor={cursor}");
    assert_eq!(count(&api, &query).await, 1);
}

#[tokio::test]
async fn what_cannot_be_searched_by_is_refused_with_what_can() {
    let api = with_orders().await;
    for (query, kind, says) in [
        ("where=order_id", "invalid-request", "PATH^=BEGINNING"),
        ("where=", "invalid-request", "is no condition"),
        ("where", "invalid-request", "is no condition"),
        ("where=order_id=%00", "invalid-request", "%00"),
    ] {
        let problem = api
            .get(&format!("/v1/tasks?{query}"))
            .await
            .problem(400, kind);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{query}: {detail}");
    }
    let problem = api.get("/v1/tasks?where=orderid=1").await;
    let problem = problem.problem(422, "invalid-input");
    assert_eq!(problem["detail"], "there is no search path orderid");
    let hint = problem["hint"].as_str().unwrap();
    assert!(hint.starts_with("did you mean `order_id`?"), "{hint}");
}

#[tokio::test]
async fn many_tasks_are_acted_on_by_conditions() {
    let api = with_orders().await;
    let cancel = |conditions: &Value, dry_run: bool| {
        json!({
            "filter": {"where": conditions, "state": "pending"}, "action": "cancel",
            "dry_run": dry_run,
        })
    };
    let bobs = json!(["customer.email^=bob@", "order_id<=42"]);
    let counted = api.post("/v1/bulk", &cancel(&bobs, true)).await.expect(200);
    assert_eq!(counted["matches"], 2);
    let act = api
        .post("/v1/bulk", &cancel(&bobs, false))
        .await
        .expect(202);
    assert_eq!(act["filter"]["where"], bobs);
    tasker_testing::wait_until(
        "both are cancelled",
        tasker_testing::WAIT_TIMEOUT,
        async || count(&api, "state=cancelled").await == 2,
    )
    .await;

    for (conditions, says) in [
        (json!(["order_id"]), "`order_id` is no condition"),
        (json!(["orderid=1"]), "there is no search path orderid"),
        (json!("order_id=1"), "expected a sequence"),
    ] {
        let refused = api.post("/v1/bulk", &cancel(&conditions, true)).await;
        let problem = refused.problem(422, "invalid-input");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    }
}
