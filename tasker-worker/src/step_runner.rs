//! Runs one attempt of one step: its handler, its time limit, its end from outside.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tasker_shared::steps::StepOutcome;
use tasker_shared::supervisor::panic_message;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::handler::AnyHandler;
use crate::leases::Abort;
use crate::outcome::step_error;
use crate::step::Step;

/// How long a handler may go on after it was told that its task was cancelled.
const CANCELLATION_GRACE: Duration = Duration::from_secs(5);

/// Runs the handler; `None` when nobody wants an outcome any more.
pub(crate) async fn run(
    handler: &AnyHandler,
    step: Step,
    abort: oneshot::Receiver<Abort>,
    max_result_bytes: usize,
) -> Option<StepOutcome> {
    let attempt = AssertUnwindSafe(run_to_an_end(handler, step, abort, max_result_bytes));
    match attempt.catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Some(retry("panic", panic_message(panic.as_ref()), None)),
    }
}

async fn run_to_an_end(
    handler: &AnyHandler,
    step: Step,
    abort: oneshot::Receiver<Abort>,
    max_result_bytes: usize,
) -> Option<StepOutcome> {
    let timeout = step.timeout();
    let cancellation = step.cancellation().clone();
    let attempt = handler.start(step);
    tokio::select! {
        // An outcome that is there counts, whatever else happened at the same time.
        biased;
        outcome = attempt => Some(outcome.into_report(max_result_bytes)),
        reason = aborted(abort) => match reason {
            Abort::Stale => None,
            Abort::WorkerStopped => Some(retry(
                "worker_stopped",
                "the worker stopped before the handler ended".to_owned(),
                Some(Duration::ZERO),
            )),
        },
        () = grace_ended(&cancellation) => Some(StepOutcome::Fail(step_error(
            "cancelled",
            "the task was cancelled and its handler did not end by itself".to_owned(),
            None,
        ))),
        () = sleep(timeout) => Some(retry(
            "timeout",
            format!("the attempt did not end within its timeout of {timeout:?}"),
            None,
        )),
    }
}

async fn aborted(abort: oneshot::Receiver<Abort>) -> Abort {
    match abort.await {
        Ok(reason) => reason,
        Err(_) => std::future::pending().await,
    }
}

async fn grace_ended(cancellation: &CancellationToken) {
    cancellation.cancelled().await;
    sleep(CANCELLATION_GRACE).await;
}

fn retry(kind: &str, message: String, after: Option<Duration>) -> StepOutcome {
    StepOutcome::Retry {
        error: step_error(kind, message, None),
        after,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{HandlerError, Handlers};

    use super::*;

    type Never = Result<(), HandlerError>;

    async fn hang(_step: Step) -> Never {
        std::future::pending().await
    }

    fn step() -> Step {
        Step::detached(Value::Null, json!({}))
    }

    async fn run_one(handler: &AnyHandler, step: Step) -> Option<StepOutcome> {
        let (_abort, aborted) = oneshot::channel();
        run(handler, step, aborted, 1000).await
    }

    fn kind_of_retry(outcome: Option<StepOutcome>) -> (String, String) {
        match outcome {
            Some(StepOutcome::Retry { error, .. }) => (error.kind, error.message),
            other => panic!("not retried: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_that_is_retried_with_its_message() {
        async fn panics(step: Step) -> Never {
            let attempt = step.attempt();
            panic!("attempt {attempt} went wrong")
        }

        let outcome = run_one(&AnyHandler::new(panics), step()).await;

        let (kind, message) = kind_of_retry(outcome);
        assert_eq!(
            (kind.as_str(), message.as_str()),
            ("panic", "attempt 1 went wrong")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_takes_too_long_is_ended_and_retried() {
        let (kind, message) = kind_of_retry(run_one(&AnyHandler::new(hang), step()).await);

        assert_eq!(kind, "timeout");
        assert!(message.ends_with("timeout of 30s"), "{message}");
    }

    #[tokio::test]
    async fn an_attempt_that_is_over_ends_without_an_outcome() {
        let (abort, aborted) = oneshot::channel();
        abort.send(Abort::Stale).unwrap();

        let outcome = run(&AnyHandler::new(hang), step(), aborted, 1000).await;

        assert_eq!(outcome, None);
    }

    #[tokio::test]
    async fn a_worker_that_stops_has_the_step_tried_again_at_once() {
        let (abort, aborted) = oneshot::channel();
        abort.send(Abort::WorkerStopped).unwrap();

        let outcome = run(&AnyHandler::new(hang), step(), aborted, 1000).await;

        let Some(StepOutcome::Retry { error, after }) = outcome else {
            panic!("not retried: {outcome:?}");
        };
        assert_eq!(error.kind, "worker_stopped");
        assert_eq!(after, Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_handler_that_goes_on_is_ended_after_its_grace() {
        let step = step();
        step.cancellation().cancel();

        let outcome = run_one(&AnyHandler::new(hang), step).await;

        let Some(StepOutcome::Fail(error)) = outcome else {
            panic!("went on: {outcome:?}");
        };
        assert_eq!(error.kind, "cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_handler_that_ends_in_time_has_its_outcome_reported() {
        async fn tidies_up(step: Step) -> Result<&'static str, HandlerError> {
            step.cancellation().cancelled().await;
            sleep(CANCELLATION_GRACE / 2).await;
            Ok("tidy")
        }
        let step = step();
        step.cancellation().cancel();

        let outcome = run_one(&AnyHandler::new(tidies_up), step).await;

        assert_eq!(outcome, Some(StepOutcome::Complete(json!("tidy"))));
    }

    #[tokio::test]
    async fn a_result_beyond_the_limit_fails_for_good_with_a_text_that_names_it() {
        let handlers = Handlers::new();
        let echo = handlers.get("builtin.echo").unwrap();

        let outcome = run_one(echo, Step::detached(Value::Null, json!("x".repeat(1000)))).await;

        let Some(StepOutcome::Fail(error)) = outcome else {
            panic!("did not fail: {outcome:?}");
        };
        assert_eq!(error.kind, "result_too_large");
        assert!(error.message.contains("1000 bytes"), "{}", error.message);
    }
}
