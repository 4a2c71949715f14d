//! The schema of the template format in the OpenAPI document.
//!
//! The exact format is `/schemas/template.json`; a test compares the two.

#![expect(dead_code, reason = "these types are declared for their schemas only")]

use serde_json::Value;
use utoipa::ToSchema;

/// A workflow: its steps, what each of them waits for and how it is retried. The exact format,
/// with every limit and default, is `/schemas/template.json`.
#[derive(ToSchema)]
#[schema(example = json!({
    "namespace": "fulfillment",
    "name": "order_fulfillment",
    "version": "1.0.0",
    "description": "Ships a paid order",
    "input_schema": {"type": "object", "required": ["order_id"]},
    "defaults": {"retry": {"max_attempts": 3, "backoff": "exponential"}, "timeout_ms": 30000},
    "steps": [
        {"name": "validate", "handler": "orders.validate"},
        {"name": "reserve", "handler": "stock.reserve", "depends_on": ["validate"]},
        {"name": "ship", "handler": "shipping.create", "depends_on": ["reserve"],
         "input": {"speed": "express"}}
    ]
}))]
pub(crate) struct TemplateDocument {
    /// The namespace whose workers run the steps.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,28}$")]
    namespace: String,
    /// The name of the template inside its namespace.
    name: String,
    /// `major.minor.patch`. A version never changes once it is applied.
    version: String,
    /// What the workflow does, for people.
    #[schema(required = false, nullable = false)]
    description: String,
    /// The JSON Schema that the context of every task must satisfy.
    #[schema(required = false, value_type = Object)]
    input_schema: Value,
    /// What a step has that does not say otherwise.
    #[schema(required = false)]
    defaults: TemplateDefaults,
    /// The steps, in any order.
    #[schema(min_items = 1)]
    steps: Vec<TemplateStep>,
}

/// What a step has that does not say otherwise.
#[derive(ToSchema)]
pub(crate) struct TemplateDefaults {
    /// How often and how soon a failed step is tried again.
    #[schema(required = false)]
    retry: TemplateRetry,
    /// How long one attempt may take, in milliseconds.
    #[schema(required = false)]
    timeout_ms: u64,
}

/// One step of a template.
#[derive(ToSchema)]
pub(crate) struct TemplateStep {
    /// The name of the step inside its template.
    name: String,
    /// The name of the handler that runs the step, as workers know it.
    handler: String,
    /// The steps that must end well before this one starts.
    #[schema(required = false)]
    depends_on: Vec<String>,
    /// What the handler is given besides the context of the task.
    #[schema(required = false, value_type = Object)]
    input: Value,
    /// How often and how soon a failed step is tried again.
    #[schema(required = false)]
    retry: TemplateRetry,
    /// How long one attempt may take, in milliseconds.
    #[schema(required = false)]
    timeout_ms: u64,
    /// How the handler gets at the results of the steps in `depends_on`.
    #[schema(required = false)]
    dependency_results: TemplateDependencyResults,
}

/// How a handler gets at the results of the steps that its step depends on.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum TemplateDependencyResults {
    /// It is given all of them.
    Inline,
    /// It is given none and asks for each.
    OnRequest,
}

/// How often and how soon a failed step is tried again.
#[derive(ToSchema)]
pub(crate) struct TemplateRetry {
    /// Attempts in all, the first one included.
    #[schema(required = false)]
    max_attempts: u32,
    /// How the delay grows from one retry to the next.
    #[schema(required = false)]
    backoff: TemplateBackoff,
    /// The delay before the first retry, in milliseconds.
    #[schema(required = false)]
    base_ms: u64,
    /// The longest delay, in milliseconds.
    #[schema(required = false)]
    max_ms: u64,
    /// Whether delays are drawn at random, so that retries spread out.
    #[schema(required = false)]
    jitter: bool,
}

/// How the delay grows from one retry to the next.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum TemplateBackoff {
    Fixed,
    Linear,
    Exponential,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use tasker_shared::template::Template;

    fn names(object: &Value) -> BTreeSet<String> {
        let members = object.as_object().expect("an object of properties");
        members.keys().cloned().collect()
    }

    #[test]
    fn the_document_and_the_exact_schema_name_the_same_properties() {
        let exact = Template::json_schema();
        let api = serde_json::to_value(crate::openapi()).unwrap();
        let pairs = [
            ("/properties", "TemplateDocument"),
            ("/properties/defaults/properties", "TemplateDefaults"),
            ("/$defs/step/properties", "TemplateStep"),
            ("/$defs/retry/properties", "TemplateRetry"),
        ];
        for (pointer, name) in pairs {
            let ours = api.pointer(&format!("/components/schemas/{name}/properties"));
            assert_eq!(
                names(ours.unwrap()),
                names(exact.pointer(pointer).unwrap()),
                "{name}"
            );
        }
    }
}
