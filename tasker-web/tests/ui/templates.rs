//! Templates: listed, shown, compared, and submitted by a form.

mod compared;
mod submitted;

use serde_json::json;
use tasker_shared::steps::StepOutcome;

use crate::support::{Api, TEMPLATE};

/// The template of the tests in another version, without its last step.
const SHORTER: &str = "
namespace: shop
name: order
version: 1.10.0
input_schema: { type: object, properties: { order_id: { type: string } } }
steps:
  - { name: charge, handler: payments.charge, retry: { max_attempts: 7 } }
  - { name: refund, handler: payments.refund }
";

/// The text of a page that was found.
async fn page(api: &Api, path: &str) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text
}

/// The text of a page that says what is wrong with a request.
async fn refusal(api: &Api, path: &str, status: u16) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.header("content-type").starts_with("text/html"));
    answer.text
}

#[tokio::test]
async fn who_has_no_template_sees_how_to_apply_one() {
    let api = Api::start().await;

    let text = page(&api, "/ui/templates").await;
    assert!(text.contains("tasker template apply hello.yaml"), "{text}");
    assert!(text.contains("/v1/templates"));

    // What it shows can be applied as it stands.
    let template = text
        .split("<pre")
        .nth(1)
        .and_then(|text| text.split_once('>'))
        .unwrap()
        .1;
    let template = template.split("</pre>").next().unwrap();
    api.apply(template).await;
}

#[tokio::test]
async fn each_template_is_listed_once_in_its_highest_version() {
    let api = Api::with_template().await;
    api.apply(SHORTER).await;
    api.apply(&TEMPLATE.replace("namespace: shop", "namespace: other"))
        .await;

    let text = page(&api, "/ui/templates").await;
    assert_eq!(text.matches("<tr data-row").count(), 2);
    assert!(
        text.contains("href=\"/ui/templates/shop/order/1.10.0\""),
        "{text}"
    );
    assert!(text.contains("href=\"/ui/templates/shop/order/submit\""));
    assert!(text.contains("href=\"/ui/tasks?namespace=shop&amp;name=order\""));
    assert!(text.contains("Ships an order"));

    let text = page(&api, "/ui/templates?namespace=other").await;
    assert!(
        text.contains("/ui/templates/other/order") && !text.contains("/ui/templates/shop/order")
    );
    let text = page(&api, "/ui/templates?namespace=nowhere").await;
    assert!(text.contains("The namespace nowhere has no templates."));
}

#[tokio::test]
async fn a_list_of_many_templates_is_bounded() {
    let api = Api::start().await;
    let copies = "insert into tasker.namespaces (namespace) values ('shop'); \
         insert into tasker.templates (namespace, name, version, body, step_count) \
         select 'shop', 'order_' || lpad(n::text, 3, '0'), '1.0.0', '{}', 1 from generate_series(1, 501) n";
    sqlx::raw_sql(copies)
        .execute(api.database.pool())
        .await
        .unwrap();

    let text = page(&api, "/ui/templates").await;
    assert!(text.contains("order_500") && !text.contains("order_501"));
    assert!(text.contains("The first 500 templates."), "{text}");
}

#[tokio::test]
async fn a_template_shows_its_steps_and_what_they_need() {
    let api = Api::with_template().await;

    for path in ["/ui/templates/shop/order", "/ui/templates/shop/order/1.0.0"] {
        let text = page(&api, path).await;
        for part in [
            "payments.charge",
            "shipping.create",
            "Ships an order",
            "express",
            "order_id",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("href=\"/v1/templates/shop/order/1.0.0\""));
        // A step in the graph leads to its row in the table.
        assert!(text.contains("href=\"#s-ship\"") && text.contains("id=\"s-ship\""));
        assert!(text.contains("href=\"/ui/templates/shop/order/submit?version=1.0.0\""));
        assert!(text.contains("⚠ none"));
    }
}

#[tokio::test]
async fn a_step_whose_handler_no_live_worker_knows_says_so() {
    let api = Api::with_template().await;
    let register = "select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 1, '0', 'Hybrid', \
         '{shop}', '{payments.charge}', 4, 0, 0)";
    sqlx::raw_sql(register)
        .execute(api.database.pool())
        .await
        .unwrap();

    let row = async |step: &str| {
        let text = page(&api, "/ui/templates/shop/order").await;
        let row = text.split(&format!("id=\"s-{step}\"")).nth(1).unwrap();
        row.split("</tr>").next().unwrap().to_owned()
    };
    assert!(!row("charge").await.contains("⚠ none"));
    assert!(row("ship").await.contains("⚠ none"));

    // One that serves other namespaces, or takes no more steps, is none.
    for change in [
        "set namespaces = '{other}'",
        "set namespaces = '{}', places = 0",
    ] {
        let change = format!("update tasker.processes {change}");
        sqlx::query(sqlx::AssertSqlSafe(change))
            .execute(api.database.pool())
            .await
            .unwrap();
        assert!(row("charge").await.contains("⚠ none"));
    }
}

#[tokio::test]
async fn an_older_version_says_which_one_is_newer() {
    let api = Api::with_template().await;
    api.apply(SHORTER).await;

    let text = page(&api, "/ui/templates/shop/order/1.0.0").await;
    assert!(text.contains("is newer") && text.contains("href=\"/ui/templates/shop/order/1.10.0\""));
    assert!(
        text.contains("href=\"/ui/templates/shop/order/compare\""),
        "{text}"
    );
    assert!(
        !page(&api, "/ui/templates/shop/order")
            .await
            .contains("is newer")
    );
}

#[tokio::test]
async fn a_template_shows_what_its_steps_took() {
    let api = Api::with_template().await;
    let empty = page(&api, "/ui/templates/shop/order").await;
    assert!(empty.contains("No run of a step was sampled"));

    let task = api.submit().await;
    api.run(StepOutcome::Complete(json!(1))).await;
    for (failed, latency) in [(false, 250), (true, 90_000)] {
        let sample = format!(
            "select tasker.record_samples('{{received_to_ended}}', '{{{task}}}', '{{1}}', '{{1}}', '{{normal}}', \
             '{{{latency}}}', '{{1500}}', '{{{failed}}}')"
        );
        sqlx::query(sqlx::AssertSqlSafe(sample))
            .execute(api.database.pool())
            .await
            .unwrap();
    }

    let text = page(&api, "/ui/templates/shop/order").await;
    let runs = text.split("id=\"runs\"").nth(1).unwrap();
    for part in ["charge", "3\u{202f}000", "1\u{202f}500", "1 min 30 s"] {
        assert!(runs.contains(part), "{part} in {runs}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let api = Api::with_template().await;

    let text = refusal(&api, "/ui/templates/shop/ordr", 404).await;
    assert!(text.contains("there is no template shop/ordr"), "{text}");
    let text = refusal(&api, "/ui/templates/shop/order/7.0.0", 404).await;
    assert!(text.contains("its versions are 1.0.0"), "{text}");
    refusal(&api, "/ui/templates/shop/order/submit?version=7.0.0", 404).await;
    refusal(&api, "/ui/templates/shop/order/compare?from=7.0.0", 404).await;
    refusal(&api, "/ui/templates/%3Cb%3E/x", 404).await;
    refusal(&api, "/ui/templates?namespace=No", 400).await;
    refusal(&api, "/ui/templates?colour=red", 400).await;
}

#[tokio::test]
async fn texts_of_a_template_are_only_text() {
    let api = Api::start().await;
    let template = json!({
        "namespace": "shop", "name": "order", "version": "1.0.0", "description": "<script>alert(1)</script>\u{202e}",
        "input_schema": {"properties": {"<img src=x>": {"description": "</textarea><s>", "default": "\"><i>"}}},
        "steps": [{"name": "a", "handler": "h", "input": {"</pre><u>": "<style>"}}],
    });
    api.post("/v1/templates", &template).await.expect(201);

    for path in [
        "",
        "/shop/order",
        "/shop/order/submit",
        "/shop/order/compare",
    ] {
        let text = page(&api, &format!("/ui/templates{path}")).await;
        for tag in ["<script>", "<img src=x", "<s>", "<i>", "<u>", "<style"] {
            assert!(!text.contains(tag), "{tag} in {text}");
        }
    }
}

#[tokio::test]
async fn a_large_template_is_shown_in_part() {
    let api = Api::start().await;
    let steps =
        (0..600).map(|n| json!({"name": format!("step_{n}"), "handler": format!("handler_{n}")}));
    let template = json!({
        "namespace": "shop", "name": "order", "version": "1.0.0", "steps": steps.collect::<Vec<_>>(),
    });
    api.post("/v1/templates", &template).await.expect(201);

    let text = page(&api, "/ui/templates/shop/order").await;
    assert!(text.contains("step_499") && !text.contains("step_500"));
    assert!(text.contains("The first 500 of 600 steps."), "{text}");
}
