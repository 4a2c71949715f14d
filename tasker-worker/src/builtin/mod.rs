//! Handlers that every worker has, so that a first workflow needs no code.

mod http;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::handler::AnyHandler;
use crate::outcome::HandlerError;
use crate::step::Step;

/// The built-in handlers and their names.
pub(crate) fn all() -> [(&'static str, AnyHandler); 5] {
    [
        ("builtin.noop", AnyHandler::new(noop)),
        ("builtin.echo", AnyHandler::new(echo)),
        ("builtin.sleep", AnyHandler::new(sleep)),
        ("builtin.fail", AnyHandler::new(fail)),
        ("builtin.http", AnyHandler::new(http::request)),
    ]
}

/// Does nothing.
async fn noop(_step: Step) -> Result<(), HandlerError> {
    Ok(())
}

/// Returns the step's input.
async fn echo(step: Step) -> Result<Value, HandlerError> {
    Ok(step.input)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sleep {
    ms: u64,
}

/// Waits, or ends early when the task is cancelled.
async fn sleep(step: Step<Value, Sleep>) -> Result<Value, HandlerError> {
    let Sleep { ms } = step.input;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(json!({ "slept_ms": ms })),
        () = step.cancellation().cancelled() => {
            Err(HandlerError::fail("the task was cancelled").kind("cancelled"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    /// How many attempts fail; all of them where it is missing.
    times: Option<u32>,
    #[serde(default = "yes")]
    retryable: bool,
    #[serde(default = "failed_on_purpose")]
    message: String,
}

const fn yes() -> bool {
    true
}

fn failed_on_purpose() -> String {
    "failed on purpose".to_owned()
}

/// Fails the first attempts, or all of them.
async fn fail(step: Step<Value, Fail>) -> Result<Value, HandlerError> {
    let attempt = step.attempt();
    let Fail {
        times,
        retryable,
        message,
    } = step.input;
    if times.is_some_and(|times| attempt.unsigned_abs() > times) {
        return Ok(json!({ "attempts": attempt }));
    }
    Err(if retryable {
        HandlerError::retry(message)
    } else {
        HandlerError::fail(message)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tasker_shared::template::Template;

    use super::*;
    use crate::handlers::Handlers;

    fn failing(input: Value, attempt: i32) -> Step<Value, Fail> {
        Step::detached(Value::Null, input)
            .with_attempt(attempt, 5)
            .typed()
            .unwrap()
    }

    #[tokio::test]
    async fn echo_returns_what_the_template_says() {
        let step = Step::detached(json!({ "context": 1 }), json!({ "input": 2 }));

        assert_eq!(echo(step).await.unwrap(), json!({ "input": 2 }));
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_takes_the_time_it_was_told() {
        let step = Step::detached(Value::Null, Sleep { ms: 60_000 });
        let started = tokio::time::Instant::now();

        assert_eq!(sleep(step).await.unwrap(), json!({ "slept_ms": 60_000 }));
        assert!(started.elapsed() >= Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_ends_when_the_task_is_cancelled() {
        let step = Step::detached(Value::Null, Sleep { ms: u64::MAX });
        step.cancellation().cancel();

        assert_eq!(
            sleep(step).await.unwrap_err().to_string(),
            "the task was cancelled"
        );
    }

    #[tokio::test]
    async fn fail_fails_as_often_as_it_was_told_and_always_without_a_number() {
        for (input, attempt, ends_well) in [
            (json!({ "times": 2 }), 2, false),
            (json!({ "times": 2 }), 3, true),
            (json!({}), 99, false),
        ] {
            let ended = fail(failing(input.clone(), attempt)).await;
            assert_eq!(ended.is_ok(), ends_well, "{input} in attempt {attempt}");
        }
    }

    #[tokio::test]
    async fn fail_says_what_it_was_told_for_good_or_not() {
        let input = json!({ "retryable": false, "message": "no such card" });

        let error = fail(failing(input, 1)).await.unwrap_err();
        assert_eq!(error.to_string(), "no such card");
        assert!(!error.is_retryable());
        assert!(
            fail(failing(json!({}), 1))
                .await
                .unwrap_err()
                .is_retryable()
        );
    }

    #[test]
    fn templates_know_exactly_the_handlers_that_are_here() {
        let registered = Handlers::new();
        let registered: BTreeSet<&str> = registered.names().collect();
        let described: BTreeSet<&str> = Template::builtin_handlers().collect();
        assert_eq!(registered, described);
    }

    #[test]
    fn templates_take_exactly_the_inputs_that_handlers_can_read() {
        let keys = [
            "ms",
            "times",
            "retryable",
            "message",
            "method",
            "url",
            "headers",
            "body",
            "other",
        ];
        let values = [
            json!(true),
            json!(0),
            json!(4_294_967_296_u64),
            json!(-1),
            json!(1.5),
            json!("http://localhost/"),
            json!([]),
            json!({}),
            json!({ "x-a": "b" }),
            json!({ "x-a": 1 }),
        ];
        let complete = [
            ("builtin.sleep", json!({ "ms": 1 })),
            ("builtin.fail", json!({})),
            ("builtin.http", json!({ "url": "http://localhost/" })),
        ];
        for (handler, complete) in &complete {
            assert_eq!(
                is_read(handler, &json!({})),
                is_accepted(handler, &json!({}))
            );
            for key in keys {
                for value in &values {
                    let mut input = complete.clone();
                    input[key] = value.clone();
                    let (read, accepted) = (is_read(handler, &input), is_accepted(handler, &input));
                    // A text has to be a method or a URL, which the handler finds out when it runs.
                    let is_no_method = key == "method" && value.is_string();
                    assert_eq!(read && !is_no_method, accepted, "{handler} {input}");
                }
            }
        }
    }

    fn is_read(handler: &str, input: &Value) -> bool {
        let step = Step::detached(Value::Null, input.clone());
        match handler {
            "builtin.sleep" => step.typed::<Value, Sleep>().is_ok(),
            "builtin.fail" => step.typed::<Value, Fail>().is_ok(),
            "builtin.http" => step.typed::<Value, http::Request>().is_ok(),
            other => panic!("{other} takes anything"),
        }
    }

    fn is_accepted(handler: &str, input: &Value) -> bool {
        let template = json!({
            "namespace": "test", "name": "t", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": handler, "input": input }],
        });
        Template::parse_json(&template.to_string()).is_ok()
    }

    #[test]
    fn a_key_that_a_built_in_handler_does_not_know_is_refused() {
        let step = Step::detached(Value::Null, json!({ "ms": 1, "unit": "s" }));

        let error = step.typed::<Value, Sleep>().unwrap_err();
        assert!(
            error.to_string().contains("unknown field `unit`"),
            "{error}"
        );
    }
}
