//! Tasks submitted by a form.

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::page;
use crate::support::{Answer, Api};

const FORM: &str = "/ui/templates/shop/order/submit";

/// A template whose tasks need an order and an address.
const TEMPLATE: &str = "
namespace: shop
name: order
version: 1.0.0
input_schema:
  type: object
  required: [order_id]
  additionalProperties: false
  properties:
    order_id: { type: integer, minimum: 1, title: Number of the order, examples: [17] }
    express: { type: boolean, default: false }
    speed: { enum: [slow, fast] }
    tags: { type: array, items: { type: string, maxLength: 3 } }
    to:
      type: object
      required: [zip]
      properties: { zip: { type: string, pattern: '^[0-9]+$' }, city: { type: string } }
    extra: {}
steps: [{ name: a, handler: builtin.noop }]
";

async fn api() -> Api {
    let api = Api::start().await;
    api.apply(TEMPLATE).await;
    api
}

/// Sends a form, without following where it leads.
async fn send(api: &Api, inputs: &[(&str, &str)], origin: Option<&str>) -> Answer {
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let body = serde_html_form::to_string(inputs).unwrap();
    let mut request = client.post(api.url(FORM)).body(body);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    Answer::of(request).await
}

/// The name of the input with this label.
fn input(form: &str, property: &str) -> String {
    let label = form.split("<label for=\"").find(|label| {
        let text = label.split("</label>").next().unwrap();
        text.contains(&format!(">{property}<"))
    });
    let label = label.unwrap_or_else(|| panic!("{property} in {form}"));
    label.split('"').next().unwrap().to_owned()
}

/// The task that an answer leads to.
async fn task(api: &Api, answer: &Answer) -> Value {
    assert_eq!(answer.status, 303, "{answer:?}");
    let task_uuid = answer
        .header("location")
        .strip_prefix("/ui/tasks/")
        .unwrap();
    api.get(&format!("/v1/tasks/{task_uuid}")).await.expect(200)
}

async fn count_tasks(api: &Api) -> i64 {
    let count = sqlx::query_scalar("select count(*) from tasker.tasks");
    count.fetch_one(api.database.pool()).await.unwrap()
}

#[tokio::test]
async fn the_fields_of_the_schema_become_the_context() {
    let api = api().await;
    let form = page(&api, FORM).await;
    for part in [
        "Number of the order",
        "(required)",
        "17",
        "Where it is left empty",
        "One a line",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    let typed = [
        ("order_id", "12"),
        ("express", "true"),
        ("speed", "\"fast\""),
        ("tags", "a\r\nb"),
        ("zip", "10115"),
        ("extra", "{\"a\": [1]}"),
    ];
    let names: Vec<_> = typed
        .iter()
        .map(|(property, text)| (input(&form, property), *text))
        .collect();
    let mut inputs: Vec<_> = names
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    inputs.extend([
        ("version", "1.0.0"),
        ("priority", "-7"),
        ("idempotency_key", "k"),
    ]);

    let task = task(&api, &send(&api, &inputs, None).await).await;

    let context = json!({
        "order_id": 12, "express": true, "speed": "fast", "tags": ["a", "b"], "to": {"zip": "10115"}, "extra": {"a": [1]},
    });
    assert_eq!(task["context"], context);
    assert_eq!(
        (&task["priority"], &task["idempotency_key"]),
        (&json!(-7), &json!("k"))
    );
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_nothing_is_lost() {
    let api = api().await;
    let form = page(&api, FORM).await;
    let (order, express, tags, zip) = (
        input(&form, "order_id"),
        input(&form, "express"),
        input(&form, "tags"),
        input(&form, "zip"),
    );
    let mistake = |form: &str, name: &str| {
        let text = form
            .split(&format!("id=\"{name}-mistake\">"))
            .nth(1)
            .unwrap();
        text.split("</div>").next().unwrap().to_owned()
    };

    // What cannot be read is found in all fields at once.
    let answer = send(
        &api,
        &[
            (&order, "many"),
            (&express, "maybe"),
            (&tags, "fine"),
            ("priority", "70000"),
        ],
        None,
    )
    .await;
    assert_eq!(answer.status, 422);
    assert!(
        mistake(&answer.text, &order).contains("expected a whole number"),
        "{answer:?}"
    );
    assert!(mistake(&answer.text, &express).contains("is none of the choices"));
    assert!(mistake(&answer.text, "priority").contains("-32768"));
    assert!(answer.text.contains("value=\"many\"") && answer.text.contains("fine</textarea>"));
    assert!(answer.text.contains("Nothing was submitted."));

    // What the schema refuses is found by the database.
    for (inputs, name, expected) in [
        (vec![], &order, "is missing"),
        (vec![(&*order, "0")], &order, "is less than 1"),
        (
            vec![(&*order, "1"), (&*zip, "<x>")],
            &zip,
            "does not match the pattern",
        ),
        (
            vec![(&*order, "1"), (&*tags, "a\nlong")],
            &tags,
            "is longer than 3 characters",
        ),
    ] {
        let answer = send(&api, &inputs, None).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(mistake(&answer.text, name).contains(expected), "{answer:?}");
        assert!(!answer.text.contains("<x>"));
    }
    assert_eq!(count_tasks(&api).await, 0);
}

#[tokio::test]
async fn what_the_schema_allows_beside_its_fields_is_typed_as_json() {
    let api = Api::start().await;
    let template = TEMPLATE.replace("  additionalProperties: false\n", "");
    api.apply(&template).await;
    let form = page(&api, FORM).await;
    let order = input(&form, "order_id");
    let more = |text| [(&*order, "1"), ("more", text)];

    let task = task(&api, &send(&api, &more("{\"note\": [2]}"), None).await).await;
    assert_eq!(task["context"], json!({"order_id": 1, "note": [2]}));

    for (text, mistake) in [
        ("{", "this is not JSON"),
        ("[1]", "expected a JSON object"),
        ("{\"tags\": []}", "tags has a field of its own above"),
    ] {
        let answer = send(&api, &more(text), None).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.text.contains(mistake), "{mistake} in {answer:?}");
    }
    assert_eq!(count_tasks(&api).await, 1);
}

#[tokio::test]
async fn a_schema_that_closes_the_context_offers_no_field_for_more() {
    let form = page(&api().await, FORM).await;
    assert!(!form.contains("name=\"more\""), "{form}");
}

#[tokio::test]
async fn a_context_that_no_field_fits_is_typed_as_json() {
    let api = Api::start().await;
    api.apply(
        "{namespace: shop, name: order, version: 1.0.0, steps: [{name: a, handler: h}],
          input_schema: {anyOf: [{properties: {more: false}}]}}",
    )
    .await;
    let json = |text| [("context", text)];

    let task = task(&api, &send(&api, &json("{\"order_id\": 3}"), None).await).await;
    assert_eq!(task["context"], json!({"order_id": 3}));

    for (text, mistake) in [
        ("{", "this is not JSON"),
        ("[1]", "the context of a task is a JSON object"),
        (
            "{\"order_id\": \"\\u0000\"}",
            "which PostgreSQL cannot store",
        ),
        ("{\"order_id\": 1, \"more\": 2}", "more: is not allowed"),
    ] {
        let answer = send(&api, &json(text), None).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.text.contains(mistake), "{mistake} in {answer:?}");
    }
}

#[tokio::test]
async fn a_known_key_leads_to_the_first_task() {
    let api = api().await;
    let form = page(&api, FORM).await;
    let order = input(&form, "order_id");
    let order = |number| [(&*order, number), ("idempotency_key", "<k>")];
    let first = send(&api, &order("1"), None).await;
    let address = first.header("location");

    let same = send(&api, &order("1"), None).await;
    assert_eq!((same.status, same.header("location")), (303, address));

    let other = send(&api, &order("2"), None).await;
    assert_eq!(other.status, 409);
    assert!(
        other.text.contains("another context") && other.text.contains("&lt;k&gt;"),
        "{other:?}"
    );
    assert_eq!(count_tasks(&api).await, 1);
}

#[tokio::test]
async fn the_version_of_the_form_is_submitted() {
    let api = api().await;
    let form = page(&api, FORM).await;
    api.apply(&TEMPLATE.replace("version: 1.0.0", "version: 2.0.0"))
        .await;

    let order = input(&form, "order_id");
    let task = task(
        &api,
        &send(&api, &[("version", "1.0.0"), (&order, "1")], None).await,
    )
    .await;

    assert_eq!(task["version"], "1.0.0");
}

#[tokio::test]
async fn a_template_without_a_schema_takes_json() {
    let api = Api::start().await;
    api.apply("{namespace: shop, name: order, version: 1.0.0, steps: [{name: a, handler: h}]}")
        .await;

    let form = page(&api, FORM).await;
    assert!(form.contains("name=\"context\""), "{form}");
    let task = task(&api, &send(&api, &[("context", "")], None).await).await;
    assert_eq!(task["context"], json!({}));
}

#[tokio::test]
async fn a_page_of_another_site_submits_nothing() {
    let api = api().await;
    let inputs = [("f.0", "1")];

    let answer = send(&api, &inputs, Some("https://elsewhere.example")).await;

    assert_eq!(answer.status, 403);
    assert_eq!(count_tasks(&api).await, 0);
}
