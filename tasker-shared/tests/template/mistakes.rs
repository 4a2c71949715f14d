//! Every mistake is told with its place.

use tasker_shared::template::Template;

use crate::{MINIMAL, mistakes, with_steps};

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
