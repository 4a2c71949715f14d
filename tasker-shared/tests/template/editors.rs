//! The JSON Schema of templates, which editors read, against the parser.

use serde_json::{Value, json};
use tasker_shared::template::Template;

use crate::MINIMAL;

#[test]
fn the_schema_for_editors_refuses_what_the_parser_refuses() {
    let schema = jsonschema::draft202012::new(&Template::json_schema()).unwrap();
    let template = Template::parse_yaml(MINIMAL).unwrap().document();
    let changed = |pointer: &str, key: &str, value: Value| {
        let mut document = template.clone();
        let place = document.pointer_mut(pointer).and_then(Value::as_object_mut);
        place
            .expect("an object at the pointer")
            .insert(key.to_owned(), value);
        document
    };
    for document in [
        changed("", "setps", json!([])),
        changed("", "steps", json!([])),
        changed("", "version", json!("1.0")),
        changed("", "namespace", json!("Shop")),
        changed("", "defaults", json!({ "timeout": 5 })),
        changed("/steps/0", "depends", json!([])),
        changed("/steps/0", "timeout_ms", json!(9)),
        changed("/steps/0", "input", json!([])),
        changed("/steps/0", "depends_on", json!(["a", "a"])),
        changed("/steps/0", "dependency_results", json!("on request")),
        changed("/steps/0/retry", "backoff", json!("random")),
        changed("/steps/0/retry", "attempts", json!(1)),
        changed("/steps/0/retry", "max_attempts", json!(1_001)),
    ] {
        assert!(!schema.is_valid(&document), "{document}");
        assert!(
            Template::parse_json(&document.to_string()).is_err(),
            "{document}"
        );
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_of_built_in_handlers() {
    let schema = jsonschema::draft202012::new(&Template::json_schema()).unwrap();
    for (step, is_valid) in [
        (json!({ "handler": "builtin.noop" }), true),
        (json!({ "handler": "builtin.nop" }), false),
        (json!({ "handler": "builtin.sleep" }), false),
        (
            json!({ "handler": "builtin.sleep", "input": { "ms": 1 } }),
            true,
        ),
        (
            json!({ "handler": "builtin.sleep", "input": { "ms": "x" } }),
            false,
        ),
        (json!({ "handler": "builtin.fail" }), true),
        (
            json!({ "handler": "builtin.fail", "input": { "time": 1 } }),
            false,
        ),
        (
            json!({ "handler": "builtin.http", "input": { "url": "http://a" } }),
            true,
        ),
        (json!({ "handler": "mine", "input": { "ms": "x" } }), true),
    ] {
        let mut step = step;
        step["name"] = json!("only");
        let document = json!({
            "namespace": "shop", "name": "order", "version": "1.0.0", "steps": [step],
        });
        let read = Template::parse_json(&document.to_string());
        assert_eq!(schema.is_valid(&document), is_valid, "{document}");
        assert_eq!(read.is_ok(), is_valid, "{document}: {read:?}");
    }
}
