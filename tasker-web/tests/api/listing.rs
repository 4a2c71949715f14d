//! Lists of tasks, in pages.

use std::collections::HashSet;

use serde_json::json;

use crate::document::assert_fits;
use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn pages_show_every_task_once_while_others_are_submitted() {
    let api = Api::with_template().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(api.submit().await);
    }
    expected.reverse();

    let mut seen = Vec::new();
    let mut path = "/v1/tasks?limit=3".to_owned();
    loop {
        let page = api.get(&path).await.expect(200);
        let tasks = page["tasks"].as_array().unwrap();
        seen.extend(
            tasks
                .iter()
                .map(|task| task["task_uuid"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/tasks?limit=3&cursor={cursor}");
        api.submit().await;
    }

    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
    assert_eq!(
        seen.iter().collect::<HashSet<_>>(),
        expected.iter().collect::<HashSet<_>>()
    );
}

#[tokio::test]
async fn a_page_that_ends_with_the_last_task_has_no_cursor() {
    let api = Api::with_template().await;
    for _ in 0..2 {
        api.submit().await;
    }
    let page = api.get("/v1/tasks?limit=2").await.expect(200);
    assert_eq!(page["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(page["next_cursor"], json!(null));
}

#[tokio::test]
async fn lists_are_restricted_by_namespace_name_and_state() {
    let api = Api::with_template().await;
    api.apply(&TEMPLATE.replace("shop", "depot")).await;
    api.apply(&TEMPLATE.replace("name: order", "name: refund"))
        .await;
    let done = api.submit().await;
    api.run_to_end().await;
    for (namespace, name) in [("shop", "order"), ("shop", "refund"), ("depot", "order")] {
        let task = json!({"namespace": namespace, "name": name});
        api.post("/v1/tasks", &task).await.expect(201);
    }

    for (query, count) in [
        ("", 4),
        ("?namespace=shop", 3),
        ("?name=order", 3),
        ("?namespace=shop&name=order", 2),
        ("?namespace=shop&name=order&state=pending", 1),
        ("?state=complete", 1),
        ("?state=cancelled", 0),
        ("?namespace=nowhere", 0),
    ] {
        let page = api.get(&format!("/v1/tasks{query}")).await.expect(200);
        assert_eq!(page["tasks"].as_array().unwrap().len(), count, "{query}");
    }
    let complete = api.get("/v1/tasks?state=complete").await.expect(200);
    assert_eq!(complete["tasks"][0]["task_uuid"], done.as_str());
}

#[tokio::test]
async fn lists_are_restricted_by_time_key_step_and_error() {
    let api = Api::with_template().await;
    let task = json!({
        "namespace": "shop", "name": "order", "context": {"order_id": 1},
        "idempotency_key": "order-1",
    });
    api.post("/v1/tasks", &task).await.expect(201);
    api.fail().await;
    api.submit().await;

    for (query, count) in [
        ("since=1h", 2),
        ("until=1h", 0),
        ("since=2000-01-01&until=2000-01-02T00:00:00Z", 0),
        ("version=1.0.0", 2),
        ("version=1.1.0&name=order", 0),
        ("key=order-1", 1),
        ("key=order-2", 0),
        ("step=charge", 1),
        ("step=ship", 0),
        ("error=CARD", 1),
        ("error=timeout", 0),
        (
            "step=charge&error=refused&since=1h&state=error&name=order",
            1,
        ),
    ] {
        let page = api.get(&format!("/v1/tasks?{query}")).await.expect(200);
        assert_eq!(page["tasks"].as_array().unwrap().len(), count, "{query}");
    }
    let page = api.get("/v1/tasks?error=card").await.expect(200);
    assert_eq!(
        page["tasks"][0]["failed_step"],
        json!({"name": "charge", "kind": "handler_failed", "message": "card refused"})
    );
    for query in [
        "since=yesterday",
        "until=",
        "version=",
        "key=",
        "step=",
        "error=",
    ] {
        let refused = api.get(&format!("/v1/tasks?{query}")).await;
        let problem = refused.problem(400, "invalid-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("expected"), "{query}: {detail}");
    }
}

#[tokio::test]
async fn bad_parameters_are_refused_with_what_is_allowed() {
    let api = Api::with_template().await;
    for (query, expected) in [
        ("limit=0", "a number from 1 to 500"),
        ("limit=501", "a number from 1 to 500"),
        ("limit=many", "a number from 1 to 500"),
        ("state=done", "pending, in_progress, complete"),
        ("cursor=3", "cursor"),
        ("page=2", "cursor"),
        ("limit=1&limit=2", "duplicate field `limit`"),
        ("namespace=a%00b", "%00"),
        ("namespace=", "namespace: \"\" is not a namespace"),
        (
            "namespace=a-b",
            "expected a lower-case letter, then up to 28",
        ),
        ("name=", "name: expected a name"),
    ] {
        let problem = api.get(&format!("/v1/tasks?{query}")).await;
        let problem = problem.problem(400, "invalid-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_page_has_the_configured_size_unless_told_otherwise() {
    let api = Api::configured(|config| {
        config.web.default_page_size = 1;
        config.web.max_page_size = 2;
    })
    .await;
    api.apply(TEMPLATE).await;
    for _ in 0..3 {
        api.submit().await;
    }
    let page = api.get("/v1/tasks").await.expect(200);
    assert_eq!(page["tasks"].as_array().unwrap().len(), 1);
    let problem = api.get("/v1/tasks?limit=3").await;
    problem.problem(400, "invalid-request");
}

#[tokio::test]
async fn queues_are_listed_with_what_lies_in_them() {
    let api = Api::with_template().await;
    let queues = api.get("/v1/queues").await.expect(200);
    assert_eq!(queues["queues"][0]["namespace"], "shop");
    assert_eq!(queues["queues"][0]["queue_name"], "worker_shop_queue");
    assert_eq!(queues["queues"][0]["length"], 0);

    api.submit().await;
    api.receive().await;
    let queues = api.get("/v1/queues").await.expect(200);
    assert_eq!(queues["queues"][0]["length"], 1);
}

#[tokio::test]
async fn a_step_that_nobody_can_run_is_told_of_with_its_task_and_its_queue() {
    let api = Api::with_template().await;
    let task = api.submit().await;
    let document = api.get("/openapi.json").await.expect(200);
    sqlx::raw_sql(
        "select tasker.claim_ready_tasks('test', 10);
         select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 7, '0', 'Hybrid',
           '{shop}', '{shipping.create}', 10, 3, 0)",
    )
    .execute(api.database.pool())
    .await
    .unwrap();

    let shown = api.get(&format!("/v1/tasks/{task}")).await.expect(200);
    assert_eq!(shown["waits_for"], "worker_for_handler");
    assert_eq!(shown["steps"][0]["waits_for"], "worker_for_handler");
    assert_eq!(shown["steps"][1]["waits_for"], json!(null));
    assert_fits(&document, "Task", &shown);
    let page = api.get("/v1/tasks").await.expect(200);
    assert_eq!(page["tasks"][0]["waits_for"], "worker_for_handler");
    assert_fits(&document, "TaskPage", &page);
    let queues = api.get("/v1/queues").await.expect(200);
    let queue = &queues["queues"][0];
    let missing = json!([{"handler": "payments.charge", "steps": 1}]);
    assert_eq!(queue["without_worker"], missing);
    assert_eq!(queue["places"], 10);
    assert_fits(&document, "Queues", &queues);
    let processes = api.get("/v1/processes").await.expect(200);
    let worker = &processes["processes"][0];
    assert_eq!(worker["handlers"], json!(["shipping.create"]));
    assert_eq!(worker["silent"], false);
    assert_fits(&document, "Processes", &processes);
}
