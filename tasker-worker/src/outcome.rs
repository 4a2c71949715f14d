//! How an attempt ends: complete with a result, fail and be retried, or fail permanently.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tasker_shared::steps::{StepError, StepOutcome};

use crate::step_result::{self, Unstorable};

/// Kind of a failure whose handler named none.
const HANDLER_FAILED: &str = "handler_failed";

/// Kind of a failure because the handler cannot read what it was given.
pub(crate) const INVALID_INPUT: &str = "invalid_input";

/// Longest text of an error that is stored, in bytes; more is cut off.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// Longest kind of an error that is stored, in bytes.
const MAX_KIND_BYTES: usize = 128;

/// Largest details of an error that are stored, in bytes of JSON.
const MAX_DETAILS_BYTES: usize = 64 * 1024;

/// Why a handler did not complete its step, and whether trying again may help.
///
/// Any error turns into one that is retried, so `?` works on everything that
/// `anyhow` accepts:
///
/// ```
/// # use tasker_worker::HandlerError;
/// fn parse(text: &str) -> Result<u64, HandlerError> {
///     Ok(text.parse()?)
/// }
/// # assert!(parse("x").is_err());
/// ```
pub struct HandlerError {
    kind: Cow<'static, str>,
    message: String,
    details: Option<Value>,
    verdict: Verdict,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Another attempt, when the template's policy says so or after this time.
    Retry(Option<Duration>),
    /// None.
    Fail,
}

impl HandlerError {
    /// The attempt failed; another one may succeed.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self::new(Verdict::Retry(None), message)
    }

    /// The step fails permanently, whatever attempts are left.
    pub fn fail(message: impl fmt::Display) -> Self {
        Self::new(Verdict::Fail, message)
    }

    fn new(verdict: Verdict, message: impl fmt::Display) -> Self {
        Self {
            kind: HANDLER_FAILED.into(),
            message: message.to_string(),
            details: None,
            verdict,
        }
    }

    /// Retries after this time instead of what the template's backoff says.
    ///
    /// It does not revive a permanent failure.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        if let Verdict::Retry(after) = &mut self.verdict {
            *after = Some(delay);
        }
        self
    }

    /// Names the sort of failure, for readers of `error.kind`; `handler_failed` otherwise.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Adds what a program may want to read of the failure.
    #[must_use]
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The sort of failure.
    pub fn kind_name(&self) -> &str {
        &self.kind
    }

    /// Whether another attempt may follow.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.verdict, Verdict::Retry(_))
    }
}

impl<E: Into<anyhow::Error>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retry(format_args!("{:#}", error.into()))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("details", &self.details)
            .field("verdict", &self.verdict)
            .finish()
    }
}

/// The outcome of an attempt, for handlers that would rather say it in one word than in a
/// `Result`.
#[derive(Debug)]
pub struct Outcome(Result<Value, HandlerError>);

impl Outcome {
    /// The step is complete with this result.
    pub fn complete(result: impl Serialize) -> Self {
        Self(serde_json::to_value(result).map_err(|error| {
            HandlerError::fail(format_args!(
                "the result cannot be written as JSON: {error}"
            ))
            .kind("invalid_result")
        }))
    }

    /// The attempt failed; another one may succeed.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self(Err(HandlerError::retry(message)))
    }

    /// The step fails permanently, whatever attempts are left.
    pub fn fail(message: impl fmt::Display) -> Self {
        Self(Err(HandlerError::fail(message)))
    }

    /// Retries after this time instead of what the template's backoff says.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.map_err(|error| error.after(delay)))
    }

    /// What is reported for it: results and errors that the database takes.
    pub(crate) fn into_report(self, max_result_bytes: usize) -> StepOutcome {
        match self
            .0
            .and_then(|result| stored_result(result, max_result_bytes))
        {
            Ok(result) => StepOutcome::Complete(result),
            Err(error) => {
                let verdict = error.verdict;
                let error = step_error(&error.kind, error.message, error.details);
                match verdict {
                    Verdict::Retry(after) => StepOutcome::Retry { error, after },
                    Verdict::Fail => StepOutcome::Fail(error),
                }
            }
        }
    }
}

/// The result, where a worker with this limit stores it; what it records instead where it does not.
///
/// # Errors
/// A permanent failure that says what is wrong with the result.
pub fn stored_result(result: Value, max_bytes: usize) -> Result<Value, HandlerError> {
    match step_result::check(&result, max_bytes) {
        Ok(()) => Ok(result),
        Err(Unstorable { kind, reason }) => {
            let message = format_args!("the result cannot be stored: {reason}");
            Err(HandlerError::fail(message).kind(kind))
        }
    }
}

/// What may become the result of a step; implemented for all types that implement serde's
/// `Serialize`.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`: it is not `Serialize`",
    label = "`{Self}` cannot be written as the result of a step",
    note = "add `#[derive(serde::Serialize)]` to the type, or return a `serde_json::Value`",
    note = "see tasker_worker::handlers_guide, section \"The result cannot be written\""
)]
pub trait StepResult: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> StepResult for T {}

/// What a handler may fail with; implemented for [`HandlerError`] and for all types that `anyhow`
/// accepts as an error.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`",
    label = "`{Self}` is neither a `HandlerError` nor an error that turns into one",
    note = "return `Result<T, HandlerError>`, and make one of a text with `HandlerError::retry` or \
            `HandlerError::fail`; an error type of your own implements `std::error::Error`",
    note = "see tasker_worker::handlers_guide, section \"The error is not an error\""
)]
pub trait IntoHandlerError: Into<HandlerError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<HandlerError>> IntoHandlerError for E {}

/// What a handler function may return: a `Result` or an [`Outcome`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "neither a `Result<T, HandlerError>` nor an `Outcome`",
    note = "return `Ok(…)` of the step's result; `?` turns any error into a `HandlerError`",
    note = "see tasker_worker::handlers_guide, section \"The function returns something else\""
)]
pub trait IntoOutcome {
    /// The outcome that the value stands for.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: StepResult, E: IntoHandlerError> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(result) => Outcome::complete(result),
            Err(error) => Outcome(Err(error.into())),
        }
    }
}

/// An error of the runtime or of a handler in the form that is stored.
///
/// Handlers pass on texts from anywhere: NUL characters, which PostgreSQL refuses, are replaced,
/// and what is too long is cut.
pub(crate) fn step_error(kind: &str, message: String, details: Option<Value>) -> StepError {
    let details = details.map(
        |details| match step_result::check(&details, MAX_DETAILS_BYTES) {
            Ok(()) => details,
            Err(error) => Value::String(format!("left out: {}", error.reason)),
        },
    );
    StepError {
        kind: storable(kind.to_owned(), MAX_KIND_BYTES),
        message: storable(message, MAX_MESSAGE_BYTES),
        details,
    }
}

fn storable(mut text: String, max_bytes: usize) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANY_SIZE: usize = 1 << 20;

    fn reported(outcome: impl IntoOutcome) -> StepOutcome {
        outcome.into_outcome().into_report(ANY_SIZE)
    }

    #[test]
    fn any_error_is_retried_with_all_its_causes_in_the_text() {
        fn fails() -> Result<(), HandlerError> {
            let cause = std::io::Error::other("the line is dead");
            Err(anyhow::Error::new(cause).context("could not call the bank"))?;
            Ok(())
        }

        let StepOutcome::Retry { error, after: None } = reported(fails()) else {
            panic!("not retried");
        };
        assert_eq!(error.kind, "handler_failed");
        assert_eq!(error.message, "could not call the bank: the line is dead");
    }

    #[test]
    fn the_three_outcomes_can_be_said_in_one_word() {
        let delay = Duration::from_secs(7);

        assert_eq!(
            reported(Outcome::complete(1)),
            StepOutcome::Complete(json!(1))
        );
        assert!(matches!(
            reported(Outcome::retry("busy").after(delay)),
            StepOutcome::Retry { after: Some(after), .. } if after == delay
        ));
        assert!(matches!(
            reported(Outcome::fail("no").after(delay)),
            StepOutcome::Fail(error) if error.message == "no"
        ));
    }

    #[test]
    fn an_error_that_the_database_refuses_is_made_storable() {
        let error = HandlerError::fail(format_args!("a\0b{}", "ä".repeat(MAX_MESSAGE_BYTES)))
            .kind("k\0")
            .details(json!({ "body": "\0" }));

        let StepOutcome::Fail(error) = reported(Err::<(), _>(error)) else {
            panic!("did not fail");
        };
        assert_eq!(error.kind, "k\u{fffd}");
        assert!(error.message.starts_with("a\u{fffd}bä"));
        assert!(error.message.ends_with('…'));
        assert!(error.message.len() < MAX_MESSAGE_BYTES + 4);
        assert_eq!(
            error.details.unwrap(),
            json!("left out: it holds a NUL character (\\u0000), which PostgreSQL cannot store")
        );
    }

    #[test]
    fn a_result_that_is_no_json_fails_for_good() {
        let outcome = Outcome::complete(std::collections::HashMap::from([((1, 2), 3)]));

        assert!(matches!(
            reported(outcome),
            StepOutcome::Fail(error) if error.kind == "invalid_result"
        ));
    }
}
