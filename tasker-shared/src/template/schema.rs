//! The JSON Schema of the template format, for editors and for clients that generate templates.
//!
//! It tells what an editor can use while someone types. What spans several places (names that
//! exist, dependencies without a cycle) only the reader can check.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::MAX_STEPS;
use super::read::{BASE_MS, BUILT_IN_DEFAULTS, MAX_ATTEMPTS, MAX_MS, TIMEOUT_MS};

/// The schema, in JSON Schema 2020-12.
pub(super) fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tasker template",
        "description": "A workflow: its steps, what each of them waits for and how it is retried.",
        "type": "object",
        "required": ["namespace", "name", "version", "steps"],
        "additionalProperties": false,
        "properties": {
            "namespace": {
                "description": "The namespace whose workers run the steps.",
                "type": "string",
                "pattern": "^[a-z][a-z0-9_]{0,28}$"
            },
            "name": name("The name of the template inside its namespace."),
            "version": {
                "description": "major.minor.patch. A version never changes once it is applied.",
                "type": "string",
                "pattern": "^(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})$"
            },
            "description": {
                "description": "What the workflow does, for people.",
                "type": "string"
            },
            "input_schema": {
                "description": "The JSON Schema that the context of every task must satisfy.",
                "type": "object"
            },
            "defaults": {
                "description": "What a step has that does not say otherwise.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "retry": { "$ref": "#/$defs/retry" },
                    "timeout_ms": { "$ref": "#/$defs/timeout_ms" }
                }
            },
            "steps": {
                "description": "The steps, in any order.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": { "$ref": "#/$defs/step" }
            }
        },
        "$defs": { "step": step(), "retry": retry(), "timeout_ms": timeout_ms() }
    })
}

fn step() -> Value {
    json!({
        "type": "object",
        "required": ["name", "handler"],
        "additionalProperties": false,
        "properties": {
            "name": name("The name of the step inside its template."),
            "handler": {
                "description": "The name of the handler that runs the step, as workers know it.",
                "type": "string",
                "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$"
            },
            "depends_on": {
                "description": "The steps that must end well before this one starts.",
                "type": "array",
                "uniqueItems": true,
                "items": { "type": "string" },
                "default": []
            },
            "input": {
                "description": "What the handler is given besides the context of the task.",
                "type": "object",
                "default": {}
            },
            "retry": { "$ref": "#/$defs/retry" },
            "timeout_ms": { "$ref": "#/$defs/timeout_ms" }
        }
    })
}

fn retry() -> Value {
    let built_in = BUILT_IN_DEFAULTS.retry;
    json!({
        "description": "How often and how soon a failed step is tried again.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "max_attempts": integer(
                "Attempts in all, the first one included.",
                MAX_ATTEMPTS,
                built_in.max_attempts.into()
            ),
            "backoff": {
                "description": "How the delay grows from one retry to the next.",
                "enum": ["fixed", "linear", "exponential"],
                "default": built_in.backoff.as_str()
            },
            "base_ms": integer(
                "The delay before the first retry, in milliseconds.",
                BASE_MS,
                built_in.base_ms
            ),
            "max_ms": integer(
                "The longest delay, in milliseconds; not less than base_ms.",
                MAX_MS,
                built_in.max_ms
            ),
            "jitter": {
                "description": "Whether delays are drawn at random, so that retries spread out.",
                "type": "boolean",
                "default": built_in.jitter
            }
        }
    })
}

fn timeout_ms() -> Value {
    let description = "How long one attempt may take, in milliseconds.";
    integer(description, TIMEOUT_MS, BUILT_IN_DEFAULTS.timeout_ms)
}

fn name(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,63}$"
    })
}

fn integer(description: &str, range: RangeInclusive<u64>, default: u64) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "minimum": range.start(),
        "maximum": range.end(),
        "default": default
    })
}
