//! The JSON Schema of the template format, for editors and for clients that generate templates.
//!
//! It says what an editor can use while a user types. What spans several places (names that
//! exist, dependencies without a cycle) only the reader can check.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::builtins;
use super::read::{BASE_MS, BUILT_IN_DEFAULTS, MAX_ATTEMPTS, MAX_MS, TIMEOUT_MS};
use super::{DependencyResults, MAX_STEPS};

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
            "timeout_ms": { "$ref": "#/$defs/timeout_ms" },
            "dependency_results": {
                "description": "Whether the handler is given the results of the steps in \
                                `depends_on` (inline) or asks for each (on_request), for results \
                                that are too large together.",
                "enum": DependencyResults::ALL.map(DependencyResults::as_str),
                "default": DependencyResults::Inline.as_str()
            }
        },
        "allOf": builtins::conditions()
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
                "description": "Whether each delay is drawn between half of it and all of it.",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::template::error::Mistakes;
    use crate::template::read::{DEFAULTS_KEYS, RETRY_KEYS, STEP_KEYS, TEMPLATE_KEYS};
    use crate::template::{Template, yaml};

    /// Every YAML file in the folder of examples.
    fn examples() -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder of examples") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|extension| extension == "yaml")
                {
                    found.push(path);
                }
            }
        }
        found
    }

    #[test]
    fn every_example_is_a_template_and_fits_the_schema() {
        let schema = jsonschema::draft202012::new(&json_schema()).unwrap();
        let examples = examples();
        assert!(examples.len() >= 7, "{examples:?}");
        for path in examples {
            let text = fs::read_to_string(&path).unwrap();
            let template = Template::parse_yaml(&text);
            assert!(
                template.is_ok(),
                "{}: {}",
                path.display(),
                template.unwrap_err()
            );
            let document = yaml::read_yaml(&text, &mut Mistakes::default())
                .unwrap()
                .to_json();
            let verdict = schema.validate(&document);
            assert!(verdict.is_ok(), "{}: {verdict:?}", path.display());
        }
    }

    #[test]
    fn the_schema_knows_exactly_the_keys_that_the_reader_knows() {
        let schema = json_schema();
        for (pointer, keys) in [
            ("/properties", &TEMPLATE_KEYS[..]),
            ("/properties/defaults/properties", &DEFAULTS_KEYS),
            ("/$defs/step/properties", &STEP_KEYS),
            ("/$defs/retry/properties", &RETRY_KEYS),
        ] {
            let properties = schema.pointer(pointer).and_then(Value::as_object).unwrap();
            let known: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(known, keys.iter().copied().collect(), "{pointer}");
        }
    }
}
