//! Built-in handlers are known, and so is their input.

use tasker_shared::template::Template;

use crate::{mistakes, with_steps};

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
