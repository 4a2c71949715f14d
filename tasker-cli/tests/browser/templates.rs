//! Templates of the tests, and texts that mean harm.

use serde_json::json;

/// A diamond that takes long enough to be watched.
pub(crate) const ORDER: &str = "\
namespace: shop
name: order
version: 1.0.0
description: Ships a paid order
input_schema:
  type: object
  required: [order_id]
  properties:
    order_id: { type: integer, title: Order, description: The number of the order }
    speed: { enum: [normal, express], default: normal }
    note: { type: string }
steps:
  - { name: validate, handler: builtin.noop }
  - { name: reserve, handler: builtin.sleep, depends_on: [validate], input: { ms: 1500 } }
  - { name: charge, handler: builtin.sleep, depends_on: [validate], input: { ms: 2500 } }
  - { name: ship, handler: builtin.echo, depends_on: [reserve, charge], input: { shipped: true } }
";

/// What the step of [`FLAKY`] says when it fails.
pub(crate) const REFUSED: &str = "the bank refused the card";

/// Its second step fails until it is tried again by an operator.
pub(crate) const FLAKY: &str = "\
namespace: shop
name: flaky
version: 1.0.0
description: Charges a card that is refused once
steps:
  - { name: validate, handler: builtin.noop }
  - { name: charge, handler: builtin.fail, depends_on: [validate],
      input: { times: 1, retryable: false, message: the bank refused the card } }
  - { name: ship, handler: builtin.noop, depends_on: [charge] }
";

/// What would run, show itself or turn the page around if it were taken for anything but text.
pub(crate) const HOSTILE: &str = "\"'><script>window.harmed = true; alert(1)</script>\
     <img src=x onerror=\"window.harmed = true\"></bdi></pre><h1>{{7*7}} &lt;b&gt; \u{202e}txet desrever\u{2066} ";

/// A template whose texts are hostile, and whose second step fails with such an error of this length.
pub(crate) fn hostile_template(error_length: usize) -> String {
    let message = HOSTILE.repeat(error_length / HOSTILE.len() + 1);
    // What is JSON is YAML as well.
    json!({
        "namespace": "hostile", "name": "texts", "version": "1.0.0", "description": HOSTILE,
        "input_schema": {"type": "object", "title": HOSTILE, "properties": {
            (HOSTILE): {"type": "string", "title": HOSTILE, "description": HOSTILE, "default": HOSTILE},
            "__proto__": {"enum": [HOSTILE, "b"]},
        }},
        "steps": [
            {"name": "first", "handler": "builtin.echo", "input": {(HOSTILE): HOSTILE}},
            {"name": "second", "handler": "builtin.fail", "depends_on": ["first"],
             "input": {"retryable": false, "message": message}},
            {"name": "third", "handler": "hostile.handler", "depends_on": ["second"]},
        ],
    })
    .to_string()
}

/// A template of so many steps side by side, between a first and a last one.
pub(crate) fn wide_template(width: usize) -> String {
    let middle: Vec<String> = (1..=width).map(|number| format!("part_{number}")).collect();
    let mut steps = vec![json!({"name": "split", "handler": "builtin.noop"})];
    steps.extend(
        middle
            .iter()
            .map(|name| json!({"name": name, "handler": "builtin.noop", "depends_on": ["split"]})),
    );
    steps.push(json!({"name": "join", "handler": "builtin.noop", "depends_on": middle}));
    json!({"namespace": "shop", "name": "wide", "version": "1.0.0", "steps": steps}).to_string()
}
