//! The JSON Schema checks in the database against an independent implementation of the standard,
//! and against the checks that a template gets when it is parsed.

mod arbitrary;
mod patterns;
mod refusals;
mod standard;

use serde_json::{Value, json};
use sqlx::PgPool;
use tasker_shared::template::{Template, TemplateErrors};

/// What the database says about a schema, and about each value.
async fn ask(pool: &PgPool, schema: &Value, values: &[Value]) -> (Option<String>, Vec<bool>) {
    let refusal = sqlx::query_scalar("select tasker.json_schema_refusal($1)");
    let refusal = refusal
        .bind(schema)
        .fetch_one(pool)
        .await
        .expect("a refusal");
    let verdicts = sqlx::query_scalar(
        "select tasker.json_schema_error($1, value) is null
         from unnest($2::jsonb[]) with ordinality as v(value, position) order by position",
    );
    (
        refusal,
        verdicts
            .bind(schema)
            .bind(values)
            .fetch_all(pool)
            .await
            .expect("verdicts"),
    )
}

/// Parses a template with this input schema.
fn parse_with(schema: &Value) -> Result<Template, TemplateErrors> {
    let template = json!({
        "namespace": "n", "name": "n", "version": "1.0.0", "input_schema": schema,
        "steps": [{ "name": "n", "handler": "h" }],
    });
    Template::parse_json(&template.to_string())
}
