//! The bounds of the OpenAPI document are those that are enforced: what is at one is taken, what is
//! just beyond it is refused.

use serde_json::{Value, json};

use crate::support::Api;

/// What a pattern allows at its longest, and what is just beyond.
fn of_pattern(pattern: &str) -> (Vec<Value>, Vec<Value>) {
    let name = |length: usize| json!("a".repeat(length));
    match pattern {
        "^[a-z][a-z0-9_]{0,28}$" => (
            vec![name(1), name(29), json!("a_9")],
            vec![name(30), json!(""), json!("9a"), json!("A"), json!("a-b")],
        ),
        "^[a-z][a-z0-9_]{0,63}$" => (
            vec![name(1), name(64), json!("a_9")],
            vec![name(65), json!(""), json!("_a"), json!("a.b")],
        ),
        "^(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})$" => (
            vec![json!("0.0.0"), json!("999999.999999.999999")],
            vec![
                json!("1000000.0.0"),
                json!("01.0.0"),
                json!("1.0"),
                json!("1.0.0.0"),
            ],
        ),
        other => panic!("a pattern that the test does not know: {other}"),
    }
}

/// Values at the bounds of a schema, and values just beyond them.
fn at_and_beyond(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut at, mut beyond) = (Vec::new(), Vec::new());
    if let Some(pattern) = schema["pattern"].as_str() {
        (at, beyond) = of_pattern(pattern);
    }
    for (bound, step) in [("minimum", -1), ("maximum", 1)] {
        if let Some(number) = schema[bound].as_i64() {
            at.push(json!(number));
            beyond.push(json!(number + step));
        }
    }
    let text = |length: u64| json!("ä".repeat(usize::try_from(length).unwrap()));
    if let Some(length) = schema["minLength"].as_u64() {
        at.push(text(length));
        beyond.push(text(length - 1));
    }
    if let Some(length) = schema["maxLength"].as_u64() {
        at.push(text(length));
        beyond.push(text(length + 1));
    }
    (at, beyond)
}

fn properties<'a>(document: &'a Value, schema: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let schema = &document["components"]["schemas"][schema]["properties"];
    let members = schema.as_object().unwrap().iter();
    members.map(|(name, schema)| (name.as_str(), schema))
}

#[tokio::test]
async fn the_bounds_of_a_task_are_enforced() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    let mut bounded = Vec::new();
    for (name, schema) in properties(&document, "TaskRequest") {
        let (at, beyond) = at_and_beyond(schema);
        if !at.is_empty() {
            bounded.push(name);
        }
        for (value, is_taken) in at
            .into_iter()
            .map(|it| (it, true))
            .chain(beyond.into_iter().map(|it| (it, false)))
        {
            let mut task = json!({"namespace": "shop", "name": "order"});
            task[name] = value;
            let answer = api.post("/v1/tasks", &task).await;
            // A template of that name need not be there.
            let taken = [200, 201, 404].contains(&answer.status);
            assert_eq!(taken, is_taken, "{task}: {}", answer.text);
            if !is_taken {
                answer.problem(422, "invalid-input");
            }
        }
    }
    let expected = [
        "idempotency_key",
        "name",
        "namespace",
        "priority",
        "version",
    ];
    bounded.sort_unstable();
    assert_eq!(bounded, expected);
}

#[tokio::test]
async fn the_bounds_of_what_operators_say_are_enforced() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    for (schema, path) in [
        ("ReasonRequest", "cancel"),
        ("SettlementRequest", "steps/charge/skip"),
    ] {
        let mut reasons = properties(&document, schema);
        let (_, reason) = reasons.find(|(name, _)| *name == "reason").unwrap();
        let (at, beyond) = at_and_beyond(reason);
        assert_eq!((at.len(), beyond.len()), (1, 1), "{reason}");
        let uuid = api.submit().await;
        let path = format!("/v1/tasks/{uuid}/{path}");
        let refused = api.post(&path, &json!({"reason": beyond[0]})).await;
        refused.problem(422, "invalid-input");
        api.post(&path, &json!({"reason": at[0]})).await.expect(200);
    }
}

#[tokio::test]
async fn the_bounds_of_parameters_are_enforced() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.expect(200);
    let mut bounds = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // A stream without end.
        let is_stream = path == "/v1/events";
        let parameters = methods["get"]["parameters"].as_array();
        let of_query = parameters
            .into_iter()
            .flatten()
            .filter(|it| it["in"] == "query");
        for parameter in of_query {
            let (at, beyond) = at_and_beyond(&parameter["schema"]);
            bounds += at.len();
            let name = parameter["name"].as_str().unwrap();
            let path = path.replace("{task_uuid}", "01890a5d-ac96-774b-bcce-b302099a0000");
            let url = |value: &Value| {
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                format!("{path}?{name}={text}")
            };
            for value in at.iter().filter(|_| !is_stream) {
                let answer = api.get(&url(value)).await;
                assert!(
                    [200, 404].contains(&answer.status),
                    "{} {}",
                    url(value),
                    answer.text
                );
            }
            for value in &beyond {
                api.get(&url(value)).await.problem(400, "invalid-request");
            }
        }
    }
    assert!(bounds > 8, "{bounds}");
}

#[tokio::test]
async fn a_body_that_may_be_left_out_may_not_be_null_and_is_not_said_to() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    let mut optional = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let body = &methods["post"]["requestBody"];
        if !path.contains("{task_uuid}") || body.is_null() {
            continue;
        }
        optional += 1;
        assert_ne!(body["required"], true, "{path}");
        let schema = &body["content"]["application/json"]["schema"];
        assert!(schema["$ref"].is_string(), "{path}: {schema}");
        let uuid = api.submit().await;
        let path = path
            .replace("{task_uuid}", &uuid)
            .replace("{step_name}", "charge");
        let null = api.post(&path, &Value::Null).await;
        null.problem(422, "invalid-input");
    }
    assert_eq!(optional, 6);
}
