//! Handlers that every worker has, so that a first workflow needs no code.

mod http;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::handlers::Handlers;
use crate::outcome::HandlerError;
use crate::step::Step;

/// Adds the built-in handlers.
pub(crate) fn register(handlers: Handlers) -> Handlers {
    handlers
        .register("builtin.noop", noop)
        .register("builtin.echo", echo)
        .register("builtin.sleep", sleep)
        .register("builtin.fail", fail)
        .register("builtin.http", http::request)
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
    times: Option<i32>,
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
    if times.is_some_and(|times| attempt > times) {
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
    use super::*;

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
    fn a_key_that_a_built_in_handler_does_not_know_is_refused() {
        let step = Step::detached(Value::Null, json!({ "ms": 1, "unit": "s" }));

        let error = step.typed::<Value, Sleep>().unwrap_err();
        assert!(
            error.to_string().contains("unknown field `unit`"),
            "{error}"
        );
    }
}
