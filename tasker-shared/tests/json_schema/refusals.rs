//! What is said of a value or a schema that is refused.

use serde_json::{Value, json};
use sqlx::PgPool;
use tasker_testing::TestDatabase;

async fn error_of(pool: &PgPool, schema: Value, value: Value) -> Option<String> {
    let error = sqlx::query_scalar("select tasker.json_schema_error($1, $2)");
    error
        .bind(schema)
        .bind(value)
        .fetch_one(pool)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn an_error_names_the_place_and_what_is_wrong_there() {
    let db = TestDatabase::create().await;
    let pool = db.pool();
    let order = json!({
        "type": "object",
        "required": ["order_id"],
        "additionalProperties": false,
        "properties": {
            "order_id": { "type": ["integer", "string"] },
            "lines": { "items": { "properties": { "sku": { "pattern": "^[A-Z]+$" } } } },
            "speed": { "enum": ["standard", "express"] },
            "gift": { "anyOf": [{ "type": "boolean" }, { "type": "string", "minLength": 2 }] }
        }
    });
    for (value, expected) in [
        (
            json!({ "order_id": 1, "lines": [{ "sku": "AB" }], "gift": true }),
            None,
        ),
        (json!([]), Some("expected object, found array")),
        (json!({}), Some("order_id: is missing")),
        (
            json!({ "order_id": 1.5 }),
            Some("order_id: expected integer or string, found 1.5"),
        ),
        (
            json!({ "order_id": 1, "oder": 2 }),
            Some("oder: is not allowed"),
        ),
        (
            json!({ "order_id": 1, "the note": 2 }),
            Some(r#"["the note"]: is not allowed"#),
        ),
        (
            json!({ "order_id": 1, "lines": [{}, { "sku": "a" }] }),
            Some("lines[1].sku: does not match the pattern ^[A-Z]+$"),
        ),
        (
            json!({ "order_id": 1, "speed": "fast" }),
            Some(r#"speed: is none of ["standard", "express"]"#),
        ),
        (
            json!({ "order_id": 1, "gift": 5 }),
            Some("gift: matches no schema of anyOf; the first says expected boolean, found 5"),
        ),
    ] {
        let error = error_of(&pool, order.clone(), value.clone()).await;
        assert_eq!(error.as_deref(), expected, "for {value}");
    }
}

#[tokio::test]
async fn without_a_schema_everything_is_right() {
    let db = TestDatabase::create().await;
    let query = sqlx::query_scalar("select tasker.json_schema_error(null, '{}')");
    let error: Option<String> = query.fetch_one(&db.pool()).await.unwrap();
    assert_eq!(error, None);
}

#[tokio::test]
async fn a_schema_that_refers_to_itself_without_end_is_refused_when_it_is_applied() {
    let db = TestDatabase::create().await;
    let endless = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] });
    let query = sqlx::query("select tasker.json_schema_error($1, '1')").bind(endless);
    let error = query.execute(&db.pool()).await.unwrap_err();
    let error = error.as_database_error().expect("an error of the database");
    assert_eq!(error.code().as_deref(), Some("TK400"));
    assert!(error.message().contains("more than 64 schemas"), "{error}");
}
