//! What may be submitted, what is refused and in which words, and what a submission leaves behind.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgDatabaseError;
use support::{SINGLE, World, new_task};
use tasker_shared::error::{Error, Refusal, RefusalKind};
use tasker_shared::tasks;
use tasker_shared::template::Template;
use tasker_shared::templates;

/// How plain SQL sees a refusal.
#[derive(Debug)]
struct SqlRefusal {
    code: String,
    message: String,
    hint: String,
}

async fn submit(world: &mut World, tasks: Value) -> Result<Vec<(i32, bool)>, SqlRefusal> {
    let rows = sqlx::query("select position, created from tasker.submit_tasks($1)")
        .bind(tasks)
        .fetch_all(&mut world.connection)
        .await;
    match rows {
        Ok(rows) => Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect()),
        Err(error) => {
            let error = error.as_database_error().unwrap();
            let details = error.downcast_ref::<PgDatabaseError>();
            Err(SqlRefusal {
                code: error.code().unwrap().into_owned(),
                message: error.message().to_owned(),
                hint: details.hint().unwrap_or_default().to_owned(),
            })
        }
    }
}

/// What is left in the database, table by table.
async fn rows(world: &mut World) -> i64 {
    world
        .value(
            "select (select count(*) from tasker.tasks) + (select count(*) from tasker.steps)
              + (select count(*) from tasker.ready_steps)
              + (select count(*) from tasker.idempotency_keys)",
        )
        .await
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

fn versioned(version: &str, handler: &str) -> Value {
    json!({
        "namespace": "test", "name": "t", "version": version,
        "steps": [{ "name": "only", "handler": handler }],
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

async fn apply(world: &mut World, document: &Value) -> Result<bool, Refusal> {
    let template = Template::parse_json(&document.to_string()).unwrap();
    match templates::apply_template(&mut world.connection, &template).await {
        Ok(applied) => Ok(applied.created),
        Err(error) => Err(error.refusal().unwrap().clone()),
    }
}

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

fn with(key: &str, value: Value) -> Value {
    let mut task = json!({ "namespace": "test", "name": "t" });
    task[key] = value;
    task
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
async fn no_tasks_are_submitted_as_none() {
    let mut world = World::new().await;
    assert_eq!(submit(&mut world, json!([])).await.unwrap(), []);
}

#[tokio::test]
async fn limits_themselves_are_allowed() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let tasks = json!([
        with("priority", json!(32_767)),
        with("priority", json!(-32_768)),
        with("priority", json!(3.0)),
        with("idempotency_key", json!("ä".repeat(255))),
        { "namespace": "test", "name": "t", "version": null, "context": null, "priority": null,
          "idempotency_key": null },
    ]);

    let submitted = submit(&mut world, tasks).await.unwrap();

    assert_eq!(submitted, [1, 2, 3, 4, 5].map(|position| (position, true)));
    world.assert_healthy().await;
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

#[tokio::test]
async fn the_highest_version_is_the_one_with_the_highest_numbers() {
    let mut world = World::new().await;
    for version in ["1.9.0", "1.10.0", "0.99.99", "1.2.30"] {
        world.apply(versioned(version, "h")).await;
    }

    let highest = world.submit("t").await;
    let named = world
        .submit_with("t", |task| task.version = Some("1.9.0".to_owned()))
        .await;

    assert_eq!(world.task(highest).await.summary.version, "1.10.0");
    assert_eq!(world.task(named).await.summary.version, "1.9.0");
}

#[tokio::test]
async fn the_same_version_is_applied_once_however_it_is_written() {
    let mut world = World::new().await;
    let document = versioned("1.0.0", "h");
    assert!(apply(&mut world, &document).await.unwrap());
    let again = "{\n \"version\": \"1.0.0\",  \"steps\": [{\"handler\":\"h\",\"name\":\"only\", \
        \"depends_on\": [], \"input\": {}}], \"name\": \"t\", \"namespace\": \"test\"}";
    let again = Template::parse_json(again).unwrap();

    let applied = templates::apply_template(&mut world.connection, &again)
        .await
        .unwrap();

    assert!(!applied.created);
    let versions: i64 = world.value("select count(*) from tasker.templates").await;
    assert_eq!(versions, 1);
}

#[tokio::test]
async fn a_version_with_another_body_is_refused_and_stays_as_it_is() {
    let mut world = World::new().await;
    apply(&mut world, &versioned("1.0.0", "h")).await.unwrap();
    let mut described = versioned("1.0.0", "h");
    described["description"] = json!("another");

    for other in [versioned("1.0.0", "other"), described] {
        let refused = apply(&mut world, &other).await.unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Conflict);
        assert_eq!(
            refused.message,
            "version 1.0.0 of template test/t exists with another body"
        );
        assert!(refused.hint.unwrap().contains("raise the version"));
    }
    let shown = templates::show_template(&mut world.connection, "test", "t", None)
        .await
        .unwrap();
    assert_eq!(shown.body["steps"][0]["handler"], "h");
}

#[tokio::test]
async fn a_running_task_keeps_its_version_when_a_new_one_is_applied() {
    let mut world = World::new().await;
    world.apply(versioned("1.0.0", "old")).await;
    world.submit("t").await;
    world.apply(versioned("1.1.0", "new")).await;

    assert_eq!(world.start_one().await.handler, "old");
}

#[tokio::test]
async fn a_key_holds_for_all_versions_of_its_template() {
    let mut world = World::new().await;
    world.apply(versioned("1.0.0", "h")).await;
    let key = |task: &mut tasks::NewTask| task.idempotency_key = Some("k".to_owned());
    let first = world.submit_with("t", key).await;
    world.apply(versioned("2.0.0", "h")).await;

    assert_eq!(world.submit_with("t", key).await, first);
    assert_eq!(world.task(first).await.summary.version, "1.0.0");
}

#[tokio::test]
async fn a_submission_that_is_rolled_back_leaves_nothing() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let mut task = new_task("t");
    task.idempotency_key = Some("k".to_owned());
    world.run("begin").await;
    tasks::submit_tasks(&mut world.connection, std::slice::from_ref(&task))
        .await
        .unwrap();

    world.run("rollback").await;

    assert_eq!(rows(&mut world).await, 0);
    assert!(world.claim().await.is_empty());
    let again = tasks::submit_tasks(&mut world.connection, &[task])
        .await
        .unwrap();
    assert!(again[0].created, "the key is free again");
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_tasks() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let batch = (0..50)
        .map(|number| {
            let mut task = new_task("t");
            task.context = json!({ "number": number });
            task.idempotency_key = Some(format!("{}", number % 40));
            task
        })
        .collect::<Vec<_>>();

    let submitted = tasks::submit_tasks(&mut world.connection, &batch)
        .await
        .unwrap();

    for (number, submitted) in submitted.iter().enumerate() {
        let context = world.task(submitted.task_uuid).await.context;
        assert_eq!(context["number"], number % 40);
        assert_eq!(submitted.created, number < 40);
    }
}

#[tokio::test]
async fn one_task_is_submitted_by_plain_sql_with_what_it_names() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;

    let plain = world.value("select tasker.submit_task('test', 't')").await;
    let named = world
        .value(
            "select tasker.submit_task('test', 't', '{\"order_id\": 1}',
              p_priority => 7, p_idempotency_key => 'k', p_version => '1.0.0')",
        )
        .await;

    let plain = world.task(plain).await;
    assert_eq!((plain.context, plain.summary.priority), (json!({}), 0));
    let named = world.task(named).await;
    assert_eq!(named.context, json!({ "order_id": 1 }));
    assert_eq!(named.summary.priority, 7);
    assert_eq!(named.idempotency_key.as_deref(), Some("k"));
    world.assert_healthy().await;
}
