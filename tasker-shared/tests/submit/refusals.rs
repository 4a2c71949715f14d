//! Tasks that are refused, in words that a caller can act on.

use serde_json::{Value, json};
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::tasks;

use crate::support::{SINGLE, World, new_task};
use crate::{rows, submit, versioned, with};

#[tokio::test]
async fn a_task_that_is_not_formed_as_one_is_refused_with_what_is_wrong() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let cases = [
        (json!(7), "it is not a JSON object"),
        (json!([]), "it is not a JSON object"),
        (
            json!({ "name": "t" }),
            "namespace is missing or not a string",
        ),
        (
            json!({ "namespace": 1, "name": "t" }),
            "namespace is missing or not a string",
        ),
        (
            json!({ "namespace": null, "name": "t" }),
            "namespace is missing or not a string",
        ),
        (
            json!({ "namespace": "test" }),
            "name is missing or not a string",
        ),
        (
            json!({ "namespace": "test", "name": ["t"] }),
            "name is missing or not a string",
        ),
        (with("version", json!(1)), "version is not a string"),
        (with("context", json!([1])), "context is not a JSON object"),
        (with("context", json!("{}")), "context is not a JSON object"),
        (with("priority", json!("5")), "priority is not a number"),
        (
            with("priority", json!(32_768)),
            "priority is not a whole number from -32768 to 32767",
        ),
        (
            with("priority", json!(-32_769)),
            "priority is not a whole number from -32768 to 32767",
        ),
        (
            with("priority", json!(1.5)),
            "priority is not a whole number from -32768 to 32767",
        ),
        (
            with("priority", json!(1e300)),
            "priority is not a whole number from -32768 to 32767",
        ),
        (
            with("idempotency_key", json!(1)),
            "idempotency_key is not a string",
        ),
        (
            with("idempotency_key", json!("")),
            "idempotency_key has not 1 to 255 characters",
        ),
        (
            with("idempotency_key", json!("ä".repeat(256))),
            "idempotency_key has not 1 to 255 characters",
        ),
        (with("prioritty", json!(1)), "unknown key prioritty"),
    ];
    for (task, message) in cases {
        assert_refused(&mut world, task, "TK400", message).await;
    }
}

#[tokio::test]
async fn what_is_no_list_of_tasks_is_refused() {
    let mut world = World::new().await;
    for tasks in [json!({}), json!(null), json!("[]")] {
        let refused = submit(&mut world, tasks).await.unwrap_err();
        assert_eq!(refused.code, "TK400");
        assert_eq!(refused.message, "the tasks are not a JSON array");
    }
}

#[tokio::test]
async fn an_unknown_template_is_refused_with_what_to_do() {
    let mut world = World::new().await;

    let refused = submit(&mut world, json!([{ "namespace": "no", "name": "such" }]))
        .await
        .unwrap_err();

    assert_eq!(refused.code, "TK404");
    assert_eq!(refused.message, "there is no template no/such");
    assert!(
        refused.hint.contains("tasker template apply"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_unknown_version_is_refused_with_those_there_are() {
    let mut world = World::new().await;
    for version in ["1.10.0", "1.9.0"] {
        world.apply(versioned(version, "h")).await;
    }

    let refused = submit(&mut world, json!([with("version", json!("2.0.0"))]))
        .await
        .unwrap_err();

    assert_eq!(refused.code, "TK404");
    assert_eq!(refused.message, "template test/t has no version 2.0.0");
    assert_eq!(refused.hint, "its versions are 1.9.0, 1.10.0");
}

#[tokio::test]
async fn a_context_against_its_schema_is_refused_with_the_path() {
    let mut world = with_an_order().await;
    let cases = [
        (json!({}), "order_id: is missing"),
        (json!({ "order_id": 0 }), "order_id"),
        (json!({ "order_id": 1, "extra": 1 }), "extra"),
        (
            json!({ "order_id": 1, "lines": [{ "sku": 1 }, {}] }),
            "lines[1].sku: is missing",
        ),
    ];
    for (context, path) in cases {
        let task = json!({ "namespace": "test", "name": "order", "context": context });
        let refused = submit(&mut world, json!([task])).await.unwrap_err();
        assert_eq!(refused.code, "TK400");
        let message = refused.message;
        assert!(
            message.starts_with("the context does not fit the input schema: "),
            "{message}"
        );
        assert!(message.contains(path), "{message}");
        assert_eq!(rows(&mut world).await, 0);
    }
}

#[tokio::test]
async fn a_missing_context_is_checked_as_an_empty_one() {
    let mut world = with_an_order().await;
    for task in [
        json!({ "namespace": "test", "name": "order" }),
        json!({ "namespace": "test", "name": "order", "context": null }),
    ] {
        let refused = submit(&mut world, json!([task])).await.unwrap_err();
        assert!(refused.message.contains("order_id: is missing"));
    }
}

#[tokio::test]
async fn the_first_bad_task_of_a_batch_is_named_and_none_is_submitted() {
    let mut world = with_an_order().await;
    let good = json!({ "namespace": "test", "name": "order", "context": { "order_id": 1 } });
    let cases = [
        (
            with("context", json!(1)),
            "task 1: context is not a JSON object",
        ),
        (
            with("name", json!("order")),
            "task 1: the context does not fit",
        ),
        (
            with("name", json!("absent")),
            "there is no template test/absent",
        ),
    ];
    for (bad, message) in cases {
        let batch = json!([good, bad, bad]);
        let refused = submit(&mut world, batch).await.unwrap_err();
        assert!(refused.message.starts_with(message), "{refused:?}");
        assert_eq!(rows(&mut world).await, 0);
    }
}

#[tokio::test]
async fn the_character_that_postgresql_cannot_store_is_refused() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let mut task = new_task("t");
    task.context = json!({ "text": "a\0b" });

    let refused = tasks::submit_tasks(&mut world.connection, &[task])
        .await
        .unwrap_err();

    assert!(refused.to_string().contains("Unicode escape"), "{refused}");
    assert_eq!(rows(&mut world).await, 0);
}

#[tokio::test]
async fn rust_callers_get_the_sort_the_text_and_the_hint_of_a_refusal() {
    let mut world = with_an_order().await;
    let refusal = |error: Error| error.refusal().unwrap().clone();

    let unknown = tasks::submit_tasks(&mut world.connection, &[new_task("absent")]).await;
    let unknown = refusal(unknown.unwrap_err());
    let invalid = tasks::submit_tasks(&mut world.connection, &[new_task("order")]).await;
    let invalid = refusal(invalid.unwrap_err());

    assert_eq!(unknown.kind, RefusalKind::NotFound);
    assert!(unknown.hint.is_some());
    assert_eq!(invalid.kind, RefusalKind::InvalidInput);
    assert!(invalid.message.contains("order_id: is missing"));
}

/// Expects a refusal of one task, which leaves nothing.
async fn assert_refused(world: &mut World, task: Value, code: &str, message: &str) {
    let refused = submit(world, json!([task])).await.unwrap_err();

    assert_eq!(refused.code, code, "{task}: {}", refused.message);
    assert_eq!(refused.message, message, "{task}");
    assert_eq!(rows(world).await, 0, "{task}");
}

fn order() -> Value {
    json!({
        "type": "object",
        "required": ["order_id"],
        "additionalProperties": false,
        "properties": {
            "order_id": { "type": "integer", "minimum": 1 },
            "lines": {
                "type": "array",
                "items": { "type": "object", "required": ["sku"] },
            },
        },
    })
}

async fn with_an_order() -> World {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "order", "version": "1.0.0", "input_schema": order(),
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    world
}
