//! The JSON Schema of the template format against the reader of templates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::Mistakes;
use super::read::{
    BASE_MS, BUILT_IN_DEFAULTS, DEFAULTS_KEYS, MAX_ATTEMPTS, MAX_MS, RETRY_KEYS, STEP_KEYS,
    TEMPLATE_KEYS, TIMEOUT_MS,
};
use super::retention::RETENTION_KEYS;
use super::search::MAX_PATHS;
use super::{DependencyResults, MAX_STEPS, Template, yaml};

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
    let schema = jsonschema::draft202012::new(&Template::json_schema()).unwrap();
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
    let schema = Template::json_schema();
    for (pointer, keys) in [
        ("/properties", &TEMPLATE_KEYS[..]),
        ("/properties/defaults/properties", &DEFAULTS_KEYS),
        ("/properties/retention/properties", &RETENTION_KEYS),
        ("/$defs/step/properties", &STEP_KEYS),
        ("/$defs/retry/properties", &RETRY_KEYS),
    ] {
        let properties = schema.pointer(pointer).and_then(Value::as_object).unwrap();
        let known: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(known, keys.iter().copied().collect(), "{pointer}");
    }
}

#[test]
fn the_limits_and_defaults_of_the_schema_are_those_of_the_reader() {
    let schema = Template::json_schema();
    let retry = BUILT_IN_DEFAULTS.retry;
    for (pointer, range, default) in [
        (
            "/$defs/retry/properties/max_attempts",
            MAX_ATTEMPTS,
            retry.max_attempts.into(),
        ),
        ("/$defs/retry/properties/base_ms", BASE_MS, retry.base_ms),
        ("/$defs/retry/properties/max_ms", MAX_MS, retry.max_ms),
        (
            "/$defs/timeout_ms",
            TIMEOUT_MS,
            BUILT_IN_DEFAULTS.timeout_ms,
        ),
    ] {
        let said = schema.pointer(pointer).unwrap();
        let said = [&said["minimum"], &said["maximum"], &said["default"]];
        assert_eq!(said, [*range.start(), *range.end(), default], "{pointer}");
    }
    let steps = &schema["properties"]["steps"];
    assert_eq!(steps["maxItems"], MAX_STEPS);
    assert_eq!(schema["properties"]["search"]["maxItems"], MAX_PATHS);
    let retries = &schema["$defs"]["retry"]["properties"];
    assert_eq!(retries["backoff"]["default"], retry.backoff.as_str());
    assert_eq!(retries["jitter"]["default"], retry.jitter);
    let results = &schema["$defs"]["step"]["properties"]["dependency_results"];
    let words = DependencyResults::ALL.map(DependencyResults::as_str);
    assert_eq!(results["enum"], json!(words));
    assert_eq!(results["default"], DependencyResults::Inline.as_str());
}
