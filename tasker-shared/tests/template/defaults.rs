//! What a template does not say, and how its document says it.

use serde_json::{Map, json};
use tasker_shared::template::{Backoff, DependencyResults, RetryPolicy, Step, Template};

use crate::MINIMAL;

#[test]
fn what_a_template_does_not_say_has_a_default() {
    let template = Template::parse_yaml(MINIMAL).unwrap();
    let retry = RetryPolicy {
        max_attempts: 3,
        backoff: Backoff::Exponential,
        base_ms: 500,
        max_ms: 60_000,
        jitter: true,
    };
    let only = Step {
        name: "only".to_owned(),
        handler: "builtin.noop".to_owned(),
        depends_on: vec![],
        input: json!({}),
        retry,
        timeout_ms: 30_000,
        dependency_results: DependencyResults::Inline,
    };
    assert_eq!(template.steps, [only]);
    assert_eq!((template.description, template.input_schema), (None, None));
}

#[test]
fn a_step_goes_before_the_defaults_of_its_template_and_those_before_the_built_in_ones() {
    let template = Template::parse_yaml(
        "
namespace: shop
name: order
version: 1.0.0
defaults: { retry: { max_attempts: 7, backoff: fixed, jitter: false }, timeout_ms: 1000 }
steps:
  - { name: a, handler: h }
  - { name: b, handler: h, retry: { max_attempts: 1, base_ms: 10 }, timeout_ms: 50 }
",
    )
    .unwrap();
    let a = RetryPolicy {
        max_attempts: 7,
        backoff: Backoff::Fixed,
        base_ms: 500,
        max_ms: 60_000,
        jitter: false,
    };
    let b = RetryPolicy {
        max_attempts: 1,
        base_ms: 10,
        ..a
    };
    let settings: Vec<_> = template
        .steps
        .iter()
        .map(|step| (step.retry, step.timeout_ms))
        .collect();
    assert_eq!(settings, [(a, 1_000), (b, 50)]);
}

#[test]
fn the_document_has_every_default_written_out() {
    let document = Template::parse_yaml(MINIMAL).unwrap().document();
    let step = json!({
        "name": "only",
        "handler": "builtin.noop",
        "depends_on": [],
        "input": Map::new(),
        "retry": {
            "max_attempts": 3,
            "backoff": "exponential",
            "base_ms": 500,
            "max_ms": 60_000,
            "jitter": true
        },
        "timeout_ms": 30_000,
        "dependency_results": "inline"
    });
    let expected =
        json!({ "namespace": "shop", "name": "order", "version": "1.0.0", "steps": [step] });
    assert_eq!(document, expected);
}

#[test]
fn a_step_says_whether_it_is_given_results_or_asks_for_them() {
    let with = |line: &str| Template::parse_yaml(&format!("{MINIMAL}{line}"));
    for (name, expected) in [
        ("inline", DependencyResults::Inline),
        ("on_request", DependencyResults::OnRequest),
    ] {
        let template = with(&format!("    dependency_results: {name}\n")).unwrap();
        assert_eq!(template.steps[0].dependency_results, expected);
    }

    for (value, expected) in [
        (
            "on_requst",
            "`on_requst` is no way to get results (did you mean `on_request`?)",
        ),
        (
            "none",
            "`none` is no way to get results (inline (the handler is given them) or on_request (it \
             asks for each))",
        ),
        (
            "true",
            "expected text, found true or false (put it in quotes)",
        ),
    ] {
        let errors = with(&format!("    dependency_results: {value}\n")).unwrap_err();
        let text = errors.to_string();
        assert!(text.ends_with(expected), "{text}");
        assert!(text.contains("steps[0].dependency_results: "), "{text}");
    }
}
