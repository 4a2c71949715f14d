//! A template: the description of a workflow that tasks are runs of.
//!
//! A template is written in YAML or JSON, is checked as a whole, and comes out with every default
//! filled in, so that nothing behind this module needs to know what a default is. A document with
//! mistakes is refused with all of them at once, each with its line and column.

mod builtins;
mod error;
pub(crate) mod fields;
mod graph;
mod input_schema;
mod node;
mod read;
mod retention;
mod scalar;
#[cfg(test)]
mod schema_tests;
mod search;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::error::Mistakes;
pub use self::error::{TemplateError, TemplateErrors};
pub use self::read::{is_namespace, is_template_name, is_version};

/// The largest document that is read, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// The most steps one template may have; step numbers have 16 bits in a step's uuid.
pub const MAX_STEPS: usize = 20_000;

/// A checked template with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The namespace whose workers run the steps; it names their queue.
    pub namespace: String,
    /// The name of the template inside its namespace.
    pub name: String,
    /// `major.minor.patch`; a version never changes once it is applied.
    pub version: String,
    /// What the workflow does, for people.
    pub description: Option<String>,
    /// The JSON Schema that the context of every task must satisfy.
    pub input_schema: Option<Value>,
    /// For how long tasks are kept, by outcome; what is not named is as configured.
    pub retention: BTreeMap<String, String>,
    /// The paths into the context by whose values tasks are found: keys joined by dots.
    pub search: Vec<String>,
    /// The steps in the order of the document; never empty, names unique, dependencies acyclic.
    pub steps: Vec<Step>,
}

/// One step of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The name of the step inside its template.
    pub name: String,
    /// The name of the handler that runs the step.
    pub handler: String,
    /// The names of the steps that must end well before this one starts.
    pub depends_on: Vec<String>,
    /// What the handler is given besides the task's context: a JSON object.
    pub input: Value,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// How the handler gets at the results of the steps in `depends_on`.
    pub dependency_results: DependencyResults,
}

/// How a handler gets at the results of the steps that its step depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyResults {
    /// It is given all of them.
    Inline,
    /// It is given none and asks for each, so that together they may be larger than what a worker
    /// takes at a time.
    OnRequest,
}

/// How often and how soon a failed step is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub max_attempts: u32,
    /// How the delay grows from one retry to the next.
    pub backoff: Backoff,
    /// The delay before the first retry, in milliseconds.
    pub base_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_ms: u64,
    /// Whether each delay is drawn between half of it and all of it, so that retries spread out.
    pub jitter: bool,
}

/// How the delay grows from one retry to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// The same delay before every retry.
    Fixed,
    /// `base_ms` more before each retry.
    Linear,
    /// Twice the delay before each retry.
    Exponential,
}

impl Template {
    /// How the names of built-in handlers begin, and no others.
    pub const BUILTIN_PREFIX: &'static str = builtins::PREFIX;

    /// Reads a template from YAML 1.2.
    pub fn parse_yaml(text: &str) -> Result<Self, TemplateErrors> {
        let mut mistakes = Mistakes::default();
        let root = yaml::read_yaml(text, &mut mistakes);
        let template = root.and_then(|root| read::template(&root, &mut mistakes));
        mistakes.or_else(template)
    }

    /// Reads a template from JSON.
    pub fn parse_json(text: &str) -> Result<Self, TemplateErrors> {
        let mut mistakes = Mistakes::default();
        let root = yaml::read_json(text, &mut mistakes);
        let template = root.and_then(|root| read::template(&root, &mut mistakes));
        mistakes.or_else(template)
    }

    /// The names of the handlers that every worker has.
    pub fn builtin_handlers() -> impl Iterator<Item = &'static str> {
        builtins::BUILTINS.into_iter().map(|builtin| builtin.name)
    }

    /// The JSON Schema of the template format, for editors and for clients that generate templates.
    ///
    /// It says what an editor can use while a user types. What spans several places (names that
    /// exist, dependencies without a cycle) only the reader can check.
    pub fn json_schema() -> Value {
        serde_json::from_str(include_str!("template/schema.json"))
            .expect("the embedded file is JSON")
    }

    /// The whole template as JSON with every default written out.
    ///
    /// Two templates are the same exactly when their documents are equal; a document parses to
    /// the template it was made from.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("namespace".into(), json!(self.namespace));
        document.insert("name".into(), json!(self.name));
        document.insert("version".into(), json!(self.version));
        if let Some(description) = &self.description {
            document.insert("description".into(), json!(description));
        }
        if let Some(input_schema) = &self.input_schema {
            document.insert("input_schema".into(), input_schema.clone());
        }
        if !self.retention.is_empty() {
            document.insert("retention".into(), json!(self.retention));
        }
        if !self.search.is_empty() {
            document.insert("search".into(), json!(self.search));
        }
        document.insert(
            "steps".into(),
            self.steps.iter().map(Step::document).collect(),
        );
        Value::Object(document)
    }
}

impl Step {
    fn document(&self) -> Value {
        json!({
            "name": self.name,
            "handler": self.handler,
            "depends_on": self.depends_on,
            "input": self.input,
            "retry": self.retry,
            "timeout_ms": self.timeout_ms,
            "dependency_results": self.dependency_results,
        })
    }
}

impl DependencyResults {
    /// Every way there is.
    pub const ALL: [Self; 2] = [Self::Inline, Self::OnRequest];

    /// The name used in templates and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::OnRequest => "on_request",
        }
    }
}

impl Backoff {
    /// Every way there is.
    pub const ALL: [Self; 3] = [Self::Fixed, Self::Linear, Self::Exponential];

    /// The name used in templates and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
        }
    }
}
