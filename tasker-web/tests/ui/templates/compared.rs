//! Two versions of a template, compared.

use super::{SHORTER, page};
use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn what_differs_is_said_by_step() {
    let api = Api::with_template().await;
    api.apply(SHORTER).await;

    let text = page(
        &api,
        "/ui/templates/shop/order/compare?from=1.0.0&to=1.10.0",
    )
    .await;
    let changes = text.split("Line by line").next().unwrap();
    let row = |what: &str| {
        let rows = changes.split("<tr>").filter(|row| row.contains(what));
        rows.last()
            .unwrap_or_else(|| panic!("{what} in {changes}"))
            .to_owned()
    };
    assert!(row("step added").contains("refund"));
    assert!(row("step removed").contains("ship"));
    let attempts = row("retry.max_attempts");
    assert!(
        attempts.contains("charge") && attempts.contains(">1<") && attempts.contains(">7<"),
        "{attempts}"
    );
    let schema = row("input_schema.properties.order_id.type");
    assert!(
        schema.contains("integer") && schema.contains("string"),
        "{schema}"
    );
    assert!(row("description").contains("Ships an order"));
}

#[tokio::test]
async fn the_documents_are_compared_line_by_line() {
    let api = Api::with_template().await;
    api.apply(SHORTER).await;

    let text = page(
        &api,
        "/ui/templates/shop/order/compare?from=1.0.0&to=1.10.0",
    )
    .await;
    assert!(
        text.contains("<ins>+         &quot;type&quot;: &quot;string&quot;"),
        "{text}"
    );
    assert!(
        text.contains("<del>−         &quot;type&quot;: &quot;integer&quot;"),
        "{text}"
    );
    // The other way round, what was removed is added.
    let text = page(
        &api,
        "/ui/templates/shop/order/compare?from=1.10.0&to=1.0.0",
    )
    .await;
    assert!(
        text.contains("<del>−         &quot;type&quot;: &quot;string&quot;"),
        "{text}"
    );
}

#[tokio::test]
async fn the_two_highest_versions_are_compared_where_none_is_named() {
    let api = Api::with_template().await;
    api.apply(SHORTER).await;
    api.apply(&TEMPLATE.replace("1.0.0", "1.2.0")).await;

    let text = page(&api, "/ui/templates/shop/order/compare").await;
    assert!(text.contains("<option selected>1.2.0</option>"), "{text}");
    assert!(text.contains("<option selected>1.10.0</option>"), "{text}");

    let text = page(&api, "/ui/templates/shop/order/compare?from=1.0.0&to=1.2.0").await;
    assert!(text.contains("Nothing but the version differs."), "{text}");
}

#[tokio::test]
async fn large_versions_are_compared_in_part() {
    let api = Api::start().await;
    for (version, handler) in [("1.0.0", "one"), ("2.0.0", "other")] {
        let steps = (0..3_000).map(
            |n| serde_json::json!({"name": format!("s{n}"), "handler": format!("{handler}.{n}")}),
        );
        let template = serde_json::json!({
            "namespace": "shop", "name": "order", "version": version, "steps": steps.collect::<Vec<_>>(),
        });
        api.post("/v1/templates", &template).await.expect(201);
    }

    let text = page(&api, "/ui/templates/shop/order/compare").await;
    assert!(
        text.contains("The first 500 of 3000 changes.") && text.contains("The first 2000 lines.")
    );
    assert!(text.len() < 1_000_000, "{}", text.len());
}
