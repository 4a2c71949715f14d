//! The OpenAPI document, held against what the server answers.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Api, TEMPLATE};

/// A validator of one of the document's schemas that lets no member pass which is not in it.
fn validator(document: &Value, schema: &str) -> Validator {
    let mut components = document["components"].clone();
    for (_, schema) in components["schemas"].as_object_mut().unwrap() {
        if schema["properties"].is_object() {
            schema["additionalProperties"] = json!(false);
        }
    }
    let reference = format!("#/components/schemas/{schema}");
    let schema = json!({"$ref": reference, "components": components});
    jsonschema::validator_for(&schema).unwrap()
}

/// Says that the answer is what the schema describes.
pub(crate) fn assert_fits(document: &Value, schema: &str, answer: &Value) {
    let validator = validator(document, schema);
    let errors: Vec<_> = validator
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:?}\n{answer:#}");
}

/// The name of the schema that the document gives for an answer.
fn schema_of(document: &Value, method: &str, path: &str, status: u16) -> String {
    let response = &document["paths"][path][method]["responses"][status.to_string()];
    let response = match response["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let content = response["content"].as_object();
    let content = content.unwrap_or_else(|| panic!("no {status} for {method} {path}"));
    let (_, body) = content.iter().next().unwrap();
    let reference = body["schema"]["$ref"].as_str().unwrap();
    reference.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.expect(200);
    let check = |method: &str, path: &str, answer: &crate::support::Answer| {
        let schema = schema_of(&document, method, path, answer.status);
        assert_fits(&document, &schema, &answer.json());
    };

    let yaml = "application/yaml";
    check(
        "post",
        "/v1/templates",
        &api.post_as("/v1/templates", yaml, TEMPLATE).await,
    );
    check(
        "post",
        "/v1/templates",
        &api.post_as("/v1/templates", yaml, "steps: []").await,
    );
    check("get", "/v1/templates", &api.get("/v1/templates").await);
    check(
        "get",
        "/v1/templates/{namespace}/{name}",
        &api.get("/v1/templates/shop/order").await,
    );
    let task = json!({"namespace": "shop", "name": "order", "idempotency_key": "k"});
    check("post", "/v1/tasks", &api.post("/v1/tasks", &task).await);
    check("post", "/v1/tasks", &api.post("/v1/tasks", &task).await);
    check(
        "post",
        "/v1/tasks",
        &api.post("/v1/tasks", &json!({})).await,
    );
    check(
        "post",
        "/v1/tasks",
        &api.post_as("/v1/tasks", "text/plain", "").await,
    );
    let batch = json!({"tasks": [task]});
    check(
        "post",
        "/v1/tasks/batch",
        &api.post("/v1/tasks/batch", &batch).await,
    );

    let uuid = api.submit().await;
    api.fail().await;
    check("get", "/v1/tasks", &api.get("/v1/tasks?limit=1").await);
    check("get", "/v1/tasks", &api.get("/v1/tasks?limit=x").await);
    let one = "/v1/tasks/{task_uuid}";
    check("get", one, &api.get(&format!("/v1/tasks/{uuid}")).await);
    check(
        "get",
        &format!("{one}/history"),
        &api.get(&format!("/v1/tasks/{uuid}/history")).await,
    );
    let why = format!("/v1/tasks/{uuid}/why");
    check("get", &format!("{one}/why"), &api.get(&why).await);
    check(
        "get",
        &format!("{one}/steps/{{step_name}}"),
        &api.get(&format!("/v1/tasks/{uuid}/steps/charge")).await,
    );
    let skip = format!("/v1/tasks/{uuid}/steps/charge/skip");
    let skip_pattern = "/v1/tasks/{task_uuid}/steps/{step_name}/skip";
    check("post", skip_pattern, &api.act(&skip).await);
    check("post", skip_pattern, &api.act(&skip).await);
    api.receive().await;
    register_worker(&api).await;
    check("get", "/v1/queues", &api.get("/v1/queues").await);
    check("get", "/v1/processes", &api.get("/v1/processes").await);
    check("get", "/health/live", &api.get("/health/live").await);
    check("get", "/health/ready", &api.get("/health/ready").await);
    let (_sender, _receiver) = tasker_shared::channel::bounded::<()>(spec());
    check(
        "get",
        "/health/channels",
        &api.get("/health/channels").await,
    );
}

#[tokio::test]
async fn answers_about_many_tasks_are_what_the_document_says() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    let check = |method: &str, path: &str, answer: &crate::support::Answer| {
        let schema = schema_of(&document, method, path, answer.status);
        assert_fits(&document, &schema, &answer.json());
    };
    api.submit().await;
    api.fail().await;

    let count = json!({"filter": {"name": "order"}, "action": "retry", "dry_run": true});
    check("post", "/v1/bulk", &api.post("/v1/bulk", &count).await);
    let retry = json!({"filter": {"name": "order"}, "action": "retry"});
    let act = api.post("/v1/bulk", &retry).await;
    check("post", "/v1/bulk", &act);
    let path = act.header("location");
    check("get", "/v1/bulk/{bulk_uuid}", &api.get(path).await);
    let stop = format!("{path}/stop");
    check("post", "/v1/bulk/{bulk_uuid}/stop", &api.act(&stop).await);
    check("get", "/v1/bulk", &api.get("/v1/bulk").await);
}

/// A worker that knows none of the handlers, and so the queue and a task say what they lack.
async fn register_worker(api: &Api) {
    let register = "select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'host', 7, \
                    '0.1.0', 'Hybrid', '{}', '{builtin.noop}', 10, 3, 0)";
    sqlx::query(register)
        .execute(api.database.pool())
        .await
        .unwrap();
}

fn spec() -> tasker_shared::channel::ChannelSpec {
    tasker_shared::channel::ChannelSpec {
        name: "any",
        component: "document_test",
        capacity: 1,
    }
}

#[tokio::test]
async fn every_path_of_the_document_is_served_with_its_methods() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{paths:?}");
    for (path, methods) in paths {
        let path = path
            .replace("{task_uuid}", "01890a5d-ac96-774b-bcce-b302099a0000")
            .replace(['{', '}'], "")
            // A stream without end.
            .replace("/v1/events", "/v1/events?types=");
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => api.get(&path).await,
                "post" => api.act(&path).await,
                other => panic!("a method the test does not know: {other}"),
            };
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text.contains("unknown-route"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn no_path_that_is_read_takes_a_parameter_that_it_does_not_know_unless_it_is_a_probe() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.expect(200);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") {
            let answer = api.get(&format!("{path}?nonsense=1")).await;
            assert_eq!(answer.status, 200, "{path}");
            continue;
        }
        let Some(operation) = methods.get("get") else {
            continue;
        };
        let parameters = operation["parameters"].as_array();
        let known = parameters.into_iter().flatten();
        let mut known = known.filter(|parameter| parameter["in"] == "query");
        let expected = match known.next() {
            Some(parameter) => parameter["name"].as_str().unwrap(),
            None => "there are no parameters",
        };

        let path = path.replace(['{', '}'], "");
        let problem = api.get(&format!("{path}?nonsense=1")).await;
        let problem = problem.problem(400, "invalid-request");

        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{path}: {detail}");
        assert!(operation["responses"]["400"].is_object(), "{path}");
    }
}

#[test]
fn the_document_is_openapi_3_1_and_leaves_no_reference_open() {
    let document = serde_json::to_value(tasker_web::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.push(reference);
            }
            for member in members.values() {
                collect_references(member, references);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, references);
            }
        }
        _ => {}
    }
}

#[test]
fn every_operation_says_what_it_is_for_and_how_it_fails() {
    let document = serde_json::to_value(tasker_web::openapi()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            if path.starts_with("/v1/") {
                assert!(operation["responses"]["503"].is_object(), "{method} {path}");
            }
        }
    }
}
