//! Templates: applied, listed, shown, refused.

use serde_json::json;

use crate::support::{Api, TEMPLATE};

const PATH: &str = "/v1/templates";

#[tokio::test]
async fn a_version_is_created_once_and_never_changes() {
    let api = Api::start().await;
    let created = api.post_as(PATH, "application/yaml", TEMPLATE).await;
    assert_eq!(
        created.expect(201),
        json!({"namespace": "shop", "name": "order", "version": "1.0.0", "created": true})
    );
    assert_eq!(created.header("location"), "/v1/templates/shop/order/1.0.0");

    let again = api.post_as(PATH, "application/yaml", TEMPLATE).await;
    assert_eq!(again.expect(200)["created"], false);

    let other = TEMPLATE.replace("payments.charge", "payments.reserve");
    let other = api.post_as(PATH, "application/yaml", other).await;
    let problem = other.problem(409, "conflict");
    assert!(problem["hint"].is_string(), "{problem}");
}

#[tokio::test]
async fn yaml_and_json_are_told_apart_by_their_media_types() {
    let api = Api::start().await;
    for (patch, media_type) in ["text/yaml; charset=utf-8", "application/x-yaml"]
        .into_iter()
        .enumerate()
    {
        let template = TEMPLATE.replace("1.0.0", &format!("1.0.{patch}"));
        api.post_as(PATH, media_type, template).await.expect(201);
    }
    let step = json!({"name": "only", "handler": "builtin.noop"});
    let json = json!({"namespace": "shop", "name": "json", "version": "1.0.0", "steps": [step]});
    api.post(PATH, &json).await.expect(201);

    let form = "application/x-www-form-urlencoded";
    let refused = api.post_as(PATH, form, TEMPLATE).await;
    let problem = refused.problem(415, "unsupported-media-type");
    assert_eq!(
        problem["hint"],
        "send the header content-type: application/yaml or application/json"
    );
}

#[tokio::test]
async fn a_bad_template_is_refused_with_every_mistake_in_its_place() {
    let api = Api::start().await;
    let bad = "namespace: shop\nname: order\nversion: 1.0.0\nsteps:\n  \
               - { name: a, handler: h, depends_on: [nobody] }\n  \
               - { name: b, handler: h, timeout: 5 }\n";
    let refused = api.post_as(PATH, "application/yaml", bad).await;

    let problem = refused.problem(422, "invalid-template");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{problem}");
    assert_eq!(
        (&errors[0]["line"], &errors[1]["line"]),
        (&json!(5), &json!(6))
    );
    assert!(
        errors[0]["path"].as_str().unwrap().starts_with("steps[0]"),
        "{problem}"
    );
    assert!(
        errors[1]["message"].as_str().unwrap().contains("timeout"),
        "{problem}"
    );
    assert_eq!(api.get(PATH).await.expect(200), json!({"templates": []}));
}

#[tokio::test]
async fn what_is_not_a_document_is_refused() {
    let api = Api::start().await;
    for (media_type, body) in [
        ("application/yaml", "steps: [unclosed".as_bytes()),
        ("application/yaml", b""),
        ("application/json", b"{"),
    ] {
        let refused = api.post_as(PATH, media_type, body).await;
        refused.problem(422, "invalid-template");
    }
    let refused = api
        .post_as(PATH, "application/yaml", &b"name: \xff"[..])
        .await;
    refused.problem(400, "invalid-request");
}

#[tokio::test]
async fn a_template_with_a_character_that_cannot_be_stored_is_refused() {
    let api = Api::start().await;
    let bad = TEMPLATE.replace("Ships an order", "\"Ships\\0 an order\"");
    let refused = api.post_as(PATH, "application/yaml", bad).await;
    assert_eq!(refused.status, 422, "{refused:?}");
}

#[tokio::test]
async fn an_input_schema_that_would_not_be_honoured_is_refused() {
    let api = Api::start().await;
    let bad = TEMPLATE.replace("{ type: integer }", "{ type: whole }");
    let refused = api.post_as(PATH, "application/yaml", bad).await;
    assert_eq!(refused.status, 422, "{refused:?}");
}

#[tokio::test]
async fn templates_are_listed_and_shown_by_version() {
    let api = Api::with_template().await;
    api.apply(&TEMPLATE.replace("1.0.0", "1.10.0")).await;
    api.apply(&TEMPLATE.replace("1.0.0", "1.9.0").replace("shop", "depot"))
        .await;

    let all = api.get(PATH).await.expect(200);
    assert_eq!(all["templates"].as_array().unwrap().len(), 3);
    let of_shop = api.get("/v1/templates?namespace=shop").await.expect(200);
    assert_eq!(of_shop["templates"].as_array().unwrap().len(), 2);

    let highest = api.get("/v1/templates/shop/order").await.expect(200);
    assert_eq!(highest["version"], "1.10.0");
    assert_eq!(highest["step_count"], 2);
    assert_eq!(highest["body"]["steps"][1]["input"]["speed"], "express");
    for path in [
        "/v1/templates/shop/order?version=1.0.0",
        "/v1/templates/shop/order/1.0.0",
    ] {
        assert_eq!(api.get(path).await.expect(200)["version"], "1.0.0");
    }
}

#[tokio::test]
async fn an_unknown_template_is_refused_with_the_one_that_is_meant() {
    let api = Api::with_template().await;
    let shown = api.get("/v1/templates/shop/oder").await;
    let task = json!({ "namespace": "shop", "name": "oder" });
    let submitted = api.post("/v1/tasks", &task).await;
    for refused in [shown, submitted] {
        let problem = refused.problem(404, "not-found");
        let hint = problem["hint"].as_str().unwrap();
        assert!(hint.starts_with("did you mean `shop/order`?"), "{problem}");
    }
}

#[tokio::test]
async fn a_template_with_an_unknown_built_in_handler_or_wrong_input_is_refused() {
    let api = Api::start().await;
    let bad = TEMPLATE
        .replace("payments.charge", "builtin.nop")
        .replace("shipping.create", "builtin.sleep");
    let refused = api.post_as(PATH, "application/yaml", bad).await;
    let problem = refused.problem(422, "invalid-template");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors[0]["hint"], "did you mean `builtin.noop`?");
    assert_eq!(errors[1]["path"], "steps[1].input", "{problem}");
    assert_eq!(errors[1]["message"], "`ms` is missing", "{problem}");
    assert_eq!(errors[2]["message"], "unknown key `speed`", "{problem}");
}

#[tokio::test]
async fn an_unknown_template_or_version_is_not_found() {
    let api = Api::with_template().await;
    let missing = api.get("/v1/templates/shop/nothing").await;
    missing.problem(404, "not-found");
    let problem = api.get("/v1/templates/shop/order/2.0.0").await;
    let problem = problem.problem(404, "not-found");
    assert_eq!(problem["hint"], "its versions are 1.0.0");
}
