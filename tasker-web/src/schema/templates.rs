//! Templates, with and without their bodies.

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;

/// A version of a template, without its body.
#[derive(ToSchema)]
pub(crate) struct TemplateSummary {
    /// Namespace whose workers run it.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name within the namespace.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version.
    #[schema(example = "1.0.0")]
    version: String,
    /// What it is for.
    #[schema(required)]
    description: Option<String>,
    /// How many steps it has.
    step_count: i32,
    /// When it was first applied.
    created_at: DateTime<Utc>,
}

/// A version of a template with everything it says.
#[derive(ToSchema)]
pub(crate) struct Template {
    /// Namespace whose workers run it.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name within the namespace.
    #[schema(example = "order_fulfillment")]
    name: String,
    /// Version.
    #[schema(example = "1.0.0")]
    version: String,
    /// What it is for.
    #[schema(required)]
    description: Option<String>,
    /// How many steps it has.
    step_count: i32,
    /// When it was first applied.
    created_at: DateTime<Utc>,
    /// The template document with its defaults filled in.
    body: Value,
}
