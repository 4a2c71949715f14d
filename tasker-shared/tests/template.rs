//! What a template document may say, and what the error about a mistake in one says.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use tasker_shared::template::{Backoff, DependencyResults, MAX_STEPS, RetryPolicy, Step, Template};

const MINIMAL: &str = "\
namespace: shop
name: order
version: 1.0.0
steps:
  - name: only
    handler: builtin.noop
";

/// A template whose steps are the given lines of YAML.
fn with_steps(steps: &str) -> String {
    format!("namespace: shop\nname: order\nversion: 1.0.0\nsteps:\n{steps}")
}

/// `count` steps `s0`, `s1`, … that wait for what `depends_on` says.
fn many_steps(count: usize, depends_on: impl Fn(usize) -> String) -> String {
    let mut steps = String::new();
    for index in 0..count {
        let parents = depends_on(index);
        let step = format_args!("{{ name: s{index}, handler: h, depends_on: [{parents}] }}");
        writeln!(steps, "  - {step}").expect("writing to a string does not fail");
    }
    steps
}

/// The mistakes in a document, one line each.
fn mistakes(text: &str) -> String {
    Template::parse_yaml(text)
        .expect_err("a mistake")
        .to_string()
}

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
fn every_mistake_is_told_with_its_place_and_a_hint() {
    let document = "\
namespace: Shop
name: order
version: 1.0
defaults:
  retry: { max_attempts: 0, backof: fixed, backoff: random }
steps:
  - name: validate
    handler: orders.validate
    input: [1]
  - name: charge
    handler: 'payments charge'
    depends_on: [validat, charge, ship, ship]
    timeout_ms: \"500\"
  - name: charge
    handler: payments.charge
  - name: 5
";
    let expected = [
        "line 1, column 12: namespace: `Shop` is not a name (a-z, then a-z, 0-9 and _; at most 29 \
         characters)",
        "line 3, column 10: version: expected a version of three numbers, found a number (as in \
         1.0.0; no part above 999999)",
        "line 5, column 26: defaults.retry.max_attempts: 0 is not a whole number between 1 and 1000",
        "line 5, column 29: defaults.retry: unknown key `backof` (did you mean `backoff`?)",
        "line 5, column 53: defaults.retry.backoff: unknown backoff `random` (fixed, linear or \
         exponential)",
        "line 9, column 12: steps[0].input: expected a mapping, found a list",
        "line 11, column 14: steps[1].handler: `payments charge` is not the name of a handler \
         (letters, digits, _ and . : / - behind the first; at most 128 characters)",
        "line 12, column 18: steps[1].depends_on[0]: unknown step `validat` (did you mean \
         `validate`?)",
        "line 12, column 27: steps[1].depends_on[1]: step `charge` waits for itself",
        "line 12, column 35: steps[1].depends_on[2]: unknown step `ship`",
        "line 12, column 41: steps[1].depends_on[3]: `ship` is named twice",
        "line 13, column 17: steps[1].timeout_ms: expected a whole number, found text (without \
         quotes)",
        "line 14, column 11: steps[2].name: step `charge` is there already, on line 10",
        "line 16, column 5: steps[3]: `handler` is missing",
        "line 16, column 11: steps[3].name: expected text, found a number (put it in quotes)",
    ];
    let found = mistakes(document);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_cycle_is_named_with_its_path() {
    let document = with_steps(
        "  - { name: start, handler: h }
  - { name: a, handler: h, depends_on: [start, c] }
  - { name: b, handler: h, depends_on: [a] }
  - { name: c, handler: h, depends_on: [b] }
  - { name: end, handler: h, depends_on: [c] }
",
    );
    assert_eq!(
        mistakes(&document),
        "line 6, column 48: steps[1].depends_on[1]: the steps wait for each other: a → c → b → a \
         (each waits for the next; take one of these dependencies out)"
    );
}

#[test]
fn a_cycle_through_a_large_template_is_named_in_part() {
    let steps = many_steps(1_000, |index| format!("s{}", (index + 1) % 1_000));
    let found = mistakes(&with_steps(&steps));
    assert!(
        found.contains("s0 → s1 → s2") && found.contains("… → s0"),
        "{found}"
    );
    assert!(found.len() < 400, "{found}");
}

#[test]
fn what_is_missing_is_told_where_it_should_be() {
    assert_eq!(
        mistakes("name: order"),
        "line 1, column 1: `namespace` is missing\n\
         line 1, column 1: `version` is missing\n\
         line 1, column 1: `steps` is missing"
    );
    assert_eq!(
        mistakes(&with_steps("  []\n")),
        "line 5, column 3: steps: a template needs at least one step"
    );
    assert_eq!(
        mistakes(&with_steps("  only: { handler: h }\n")),
        "line 5, column 3: steps: expected a list, found a mapping"
    );
    assert_eq!(
        mistakes("just text"),
        "line 1, column 1: expected a mapping, found text"
    );
    assert_eq!(mistakes(""), "the document is empty");
}

#[test]
fn a_delay_that_starts_above_its_limit_is_refused() {
    let document = with_steps("  - { name: a, handler: h, retry: { base_ms: 90000 } }\n");
    let expected = "line 5, column 46: steps[0].retry: max_ms (60000) is less than base_ms (90000)";
    assert!(
        mistakes(&document).starts_with(expected),
        "{}",
        mistakes(&document)
    );
}

#[test]
fn versions_are_three_numbers_written_in_one_way() {
    for (version, accepted) in [
        ("0.0.0", true),
        ("1.20.999999", true),
        ("1.0.1000000", false),
        ("1.0", false),
        ("1.0.0.0", false),
        ("1.02.0", false),
        ("1.0.0-rc1", false),
        ("v1.0.0", false),
        ("1..0", false),
        ("+1.0.0", false),
    ] {
        let document = MINIMAL.replace("1.0.0", &format!("'{version}'"));
        assert_eq!(
            Template::parse_yaml(&document).is_ok(),
            accepted,
            "{version}"
        );
    }
}

#[test]
fn names_keep_to_their_alphabet_and_length() {
    let long = |length| "n".repeat(length);
    for (name, namespace, step, handler) in [
        ("a", true, true, true),
        ("a_1", true, true, true),
        ("1a", false, false, true),
        ("_a", false, false, true),
        ("A", false, false, true),
        ("a.b", false, false, true),
        ("a-b:c/d", false, false, true),
        (".a", false, false, false),
        ("a b", false, false, false),
        ("ä", false, false, false),
        ("", false, false, false),
        (&long(29), true, true, true),
        (&long(30), false, true, true),
        (&long(64), false, true, true),
        (&long(65), false, false, true),
        (&long(128), false, false, true),
        (&long(129), false, false, false),
    ] {
        let accepts = |key: &str, old: &str| {
            let document = MINIMAL.replace(&format!("{key}: {old}"), &format!("{key}: '{name}'"));
            assert_ne!(document, MINIMAL);
            Template::parse_yaml(&document).is_ok()
        };
        assert_eq!(
            accepts("namespace", "shop"),
            namespace,
            "namespace {name:?}"
        );
        assert_eq!(accepts("name", "order"), step, "template {name:?}");
        assert_eq!(accepts("name", "only"), step, "step {name:?}");
        assert_eq!(
            accepts("handler", "builtin.noop"),
            handler,
            "handler {name:?}"
        );
    }
}

#[test]
fn an_input_schema_with_a_keyword_that_is_not_honoured_is_refused() {
    let document = MINIMAL.replace(
        "steps:",
        "\
input_schema:
  type: object
  require: [order_id]
  properties:
    placed_at: { type: string, format: date-time }
    amount: { type: decimal, minimum: '0' }
    lines: { items: { $ref: '#/$defs/line' } }
steps:",
    );
    let expected = [
        "line 6, column 3: input_schema: the keyword `require` is not honoured (did you mean \
         `required`?)",
        "line 8, column 32: input_schema.properties.placed_at: the keyword `format` is not \
         honoured (use `pattern`)",
        "line 9, column 21: input_schema.properties.amount.type: unknown type `decimal` (known \
         types: null, boolean, object, array, number, integer, string)",
        "line 9, column 39: input_schema.properties.amount.minimum: expected a number, found text",
        "line 10, column 29: input_schema.properties.lines.items.$ref: there is no `$defs.line` \
         (references are `#` and `#/$defs/name`)",
    ];
    assert_eq!(mistakes(&document).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn json_templates_are_told_lines_and_columns_too() {
    let error =
        Template::parse_json("{\n  \"namespace\": \"shop\",\n  \"steps\": {}\n}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 1: `name` is missing\n\
         line 1, column 1: `version` is missing\n\
         line 3, column 12: steps: expected a list, found a mapping"
    );
}

#[test]
fn the_largest_template_is_read_and_one_step_more_is_not() {
    let steps = many_steps(MAX_STEPS + 1, |_| String::new());
    let one_too_many = with_steps(&steps);
    let (largest, _) = one_too_many.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        Template::parse_yaml(largest).unwrap().steps.len(),
        MAX_STEPS
    );
    let found = mistakes(&one_too_many);
    assert!(
        found.ends_with("steps: 20001 steps; at most 20000 are accepted"),
        "{found}"
    );
}

#[test]
fn a_long_wrong_name_is_quoted_in_part() {
    let name = "x".repeat(100_000);
    let steps = format!("  - {{ name: a, handler: {name}-, depends_on: [{name}] }}\n");
    let found = mistakes(&with_steps(&steps));
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.len() < 1_000, "{}", found.len());
}

#[test]
fn a_flood_of_mistakes_is_cut_short() {
    let steps = "  - { nam: a }\n".repeat(100);
    let found = mistakes(&with_steps(&steps));
    assert_eq!(found.lines().count(), 51);
    assert!(
        found.ends_with("250 more mistakes are not listed"),
        "{found}"
    );
}

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
fn an_unknown_built_in_handler_is_refused_with_the_one_that_is_meant() {
    assert_eq!(
        mistakes(&with_steps("  - { name: only, handler: builtin.nop }\n")),
        "line 5, column 28: steps[0].handler: there is no built-in handler `builtin.nop` \
         (did you mean `builtin.noop`?)"
    );
    let refused = mistakes(&with_steps(
        "  - { name: only, handler: builtin.transmogrify }\n",
    ));
    assert!(
        refused.contains("built-in handlers: builtin.noop, builtin.echo, builtin.sleep"),
        "{refused}"
    );
}

#[test]
fn a_wrong_input_of_a_built_in_handler_is_refused_in_its_place() {
    for (step, expected) in [
        (
            "{ name: a, handler: builtin.sleep, input: { ms: x } }",
            "line 5, column 53: steps[0].input.ms: expected a whole number, found text",
        ),
        (
            "{ name: a, handler: builtin.sleep }",
            "line 5, column 25: steps[0].input: `ms` is missing \
             (ms: How long to wait, in milliseconds.)",
        ),
        (
            "{ name: a, handler: builtin.sleep, input: { ms: 1, mss: 2 } }",
            "line 5, column 56: steps[0].input: unknown key `mss` (did you mean `ms`?)",
        ),
        (
            "{ name: a, handler: builtin.fail, input: { times: -1 } }",
            "-1 is not a whole number between 0 and 4294967295",
        ),
        (
            "{ name: a, handler: builtin.fail, input: { retryable: 'no' } }",
            "steps[0].input.retryable: expected true or false, found text",
        ),
        (
            "{ name: a, handler: builtin.http, input: { method: POST } }",
            "steps[0].input: `url` is missing",
        ),
        (
            "{ name: a, handler: builtin.http, input: { url: example.com } }",
            "steps[0].input.url: not a URL: relative URL without a base \
             (as in https://example.com/path)",
        ),
        (
            "{ name: a, handler: builtin.http, input: { url: 'ftp://a/b' } }",
            "builtin.http cannot send to ftp:",
        ),
        (
            "{ name: a, handler: builtin.http, input: { url: 'http://a', headers: { x-a: 1 } } }",
            "steps[0].input.headers.x-a: expected text, found a number (put it in quotes)",
        ),
    ] {
        let refused = mistakes(&with_steps(&format!("  - {step}\n")));
        assert!(refused.contains(expected), "{step}: {refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
}

#[test]
fn handlers_of_ones_own_take_any_input() {
    let text = with_steps("  - { name: a, handler: sleep, input: { ms: soon } }\n");
    assert!(Template::parse_yaml(&text).is_ok());
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
