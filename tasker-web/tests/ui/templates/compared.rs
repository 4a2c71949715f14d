//! Two versions of a template, compared.

use super::{SHORTER, page};
use crate::support::{Api, TEMPLATE};

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
    assert!(text.matches("<ins>").count() == 1, "{text}");
    let text = page(&api, "/ui/templates/shop/order/compare?from=1.0.0&to=1.0.0").await;
    assert!(text.contains("Nothing differs."), "{text}");
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
    assert!(text.contains("The first 2000 lines."));
    assert!(text.len() < 1_000_000, "{}", text.len());
}
