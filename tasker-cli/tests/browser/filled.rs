//! A system in which much has happened, and the addresses of all its pages.

use serde_json::{Value, json};

use crate::stack::Stack;
use crate::templates::{FLAKY, ORDER, hostile_template, wide_template};

/// Templates that are shipped as examples.
const EXAMPLES: [&str; 3] = [
    include_str!("../../../examples/order_fulfillment/order_with_flaky_payment.yaml"),
    include_str!("../../../examples/order_fulfillment/order_with_own_handlers.yaml"),
    include_str!("../../../examples/graphs/mixed.yaml"),
];

/// A page, with a name for its pictures.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) address: String,
}

/// Fills a system with tasks in all states, and tells where to look at them.
pub(crate) async fn fill(stack: &Stack) -> Vec<Place> {
    let next = ORDER
        .replace("1.0.0", "1.1.0")
        .replace("ms: 1500", "ms: 25000");
    let templates = [
        ORDER,
        &next,
        FLAKY,
        &hostile_template(200),
        &wide_template(40),
    ];
    for template in templates.into_iter().chain(EXAMPLES) {
        stack.apply(template).await;
    }
    let orders: Vec<Value> = (1..=60)
        .map(|order_id| json!({ "order_id": order_id }))
        .collect();
    let failed = stack.submit_many("shop/flaky", orders.clone()).await;
    let running = stack.submit_many("shop/order", orders[..5].to_vec()).await;
    let complete = stack.submit("shop/wide", json!({})).await;
    stack.submit("hostile/texts", json!({})).await;
    stack
        .submit_many("fulfillment/order_with_own_handlers", orders[..2].to_vec())
        .await;
    stack
        .submit(
            "fulfillment/order_with_flaky_payment",
            json!({"order_id": 7}),
        )
        .await;
    stack.wait_for_state(&complete, "complete").await;
    stack.wait_for_tasks("error", failed.len() + 1).await;
    let cancelled = &running[0];
    stack
        .post(
            &format!("/v1/tasks/{cancelled}/cancel"),
            json!({"reason": "the customer called"}),
        )
        .await;
    let act = stack.post("/v1/bulk", json!({"filter": {"step": "second"}, "action": "resolve", "reason": "dealt with by hand"})).await;
    places(
        &failed[0],
        &running[1],
        &complete,
        act["bulk_uuid"].as_str().unwrap(),
    )
}

fn places(failed: &str, running: &str, complete: &str, act: &str) -> Vec<Place> {
    let template = "/ui/templates/shop/order";
    let places: [(&str, String); 24] = [
        ("overview", "/ui".into()),
        ("tasks", "/ui/tasks".into()),
        (
            "tasks-failed",
            "/ui/tasks?state=error&namespace=shop".into(),
        ),
        ("tasks-none", "/ui/tasks?key=nothing".into()),
        ("search-nothing", "/ui/search?q=nothing+like+this".into()),
        ("bulk-acts", "/ui/bulk".into()),
        (
            "bulk-confirm",
            "/ui/bulk/new?action=retry&state=error".into(),
        ),
        ("bulk-act", format!("/ui/bulk/{act}")),
        ("task-failed", format!("/ui/tasks/{failed}")),
        ("task-running", format!("/ui/tasks/{running}")),
        ("task-wide", format!("/ui/tasks/{complete}")),
        ("task-retry", format!("/ui/tasks/{failed}/act/retry")),
        ("step-failed", format!("/ui/tasks/{failed}/steps/charge")),
        (
            "step-skip",
            format!("/ui/tasks/{failed}/steps/charge/act/skip"),
        ),
        ("templates", "/ui/templates".into()),
        ("template", template.into()),
        ("template-version", format!("{template}/1.0.0")),
        ("template-wide", "/ui/templates/shop/wide".into()),
        (
            "template-compare",
            format!("{template}/compare?from=1.0.0&to=1.1.0"),
        ),
        ("template-submit", format!("{template}/submit")),
        (
            "template-submit-hostile",
            "/ui/templates/hostile/texts/submit".into(),
        ),
        ("processes", "/ui/processes".into()),
        ("queues", "/ui/queues".into()),
        ("channels", "/ui/channels".into()),
    ];
    places.map(|(name, address)| Place { name, address }).into()
}
