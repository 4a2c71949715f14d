//! What can be registered as a handler, and the one form in which the runtime keeps it.
//!
//! The traits ask for one thing each, so that the compiler's answer to a handler that is not one
//! names what it lacks: [`IntoHandler`] for the shape alone, the others for the types in it.

use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::outcome::{HandlerError, IntoOutcome, Outcome, StepResult};
use crate::step::Step;

/// A handler that is a type, because it has something to hold: a client, a pool, settings.
///
/// ```
/// # use serde_json::Value;
/// # use tasker_worker::{Handler, HandlerError, Step};
/// struct Mailer {
///     sender: String,
/// }
///
/// impl Handler for Mailer {
///     type Context = Value;
///     type Input = Value;
///     type Output = String;
///
///     async fn call(&self, step: Step) -> Result<String, HandlerError> {
///         Ok(format!("sent by {} for {}", self.sender, step.task_uuid()))
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// What the task's context is read into.
    type Context: FromJson + Send;
    /// What the step's input is read into.
    type Input: FromJson + Send;
    /// What becomes the step's result.
    type Output: StepResult;

    /// Runs one attempt.
    fn call(
        &self,
        step: Step<Self::Context, Self::Input>,
    ) -> impl Future<Output = Result<Self::Output, HandlerError>> + Send;
}

/// What the context of a task or the input of a step can be read into; implemented for all types
/// that implement serde's `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "a handler cannot take `{Self}`: it is not `Deserialize`",
    label = "the context or the input of a step cannot be read into `{Self}`",
    note = "add `#[derive(serde::Deserialize)]` to the type, or take a `serde_json::Value`",
    note = "see tasker_worker::handlers_guide, section \"The context or the input cannot be read\""
)]
pub trait FromJson: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromJson for T {}

/// What a handler function may give: a future of a `Result` or an [`Outcome`], as an `async fn`
/// does.
#[diagnostic::on_unimplemented(
    message = "the handler is not async: it returns `{Self}`, which is not a future",
    label = "this takes async functions",
    note = "write `async fn`, or `async move {{ … }}` around the body of a closure",
    note = "see tasker_worker::handlers_guide, section \"The function is not async\""
)]
pub trait HandlerFuture: Future<Output = Self::Ended> {
    /// What the future ends with.
    type Ended;
}

#[diagnostic::do_not_recommend]
impl<F: Future> HandlerFuture for F {
    type Ended = F::Output;
}

/// Whatever can be registered: an async function of a [`Step`], or a [`Handler`].
///
/// `Kind` tells the two apart; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "neither a function of one `Step` nor a type that implements `Handler`",
    note = "a handler is an `async fn(step: Step<Context, Input>) -> Result<T, HandlerError>`; \
            what else it needs, it reads from the step or captures as a closure",
    note = "see tasker_worker::handlers_guide, section \"The argument is not a step\""
)]
pub trait IntoHandler<Kind> {
    /// What the task's context is read into.
    type Context;
    /// What the step's input is read into.
    type Input;
    /// What runs an attempt.
    type Future;

    /// Starts an attempt.
    fn attempt(self: Arc<Self>, step: Step<Self::Context, Self::Input>) -> Self::Future;
}

/// Marks handlers that are types.
#[derive(Debug)]
pub enum OfType {}

impl<H: Handler> IntoHandler<OfType> for H {
    type Context = H::Context;
    type Input = H::Input;
    type Future = Pin<Box<dyn Future<Output = Result<H::Output, HandlerError>> + Send>>;

    fn attempt(self: Arc<Self>, step: Step<H::Context, H::Input>) -> Self::Future {
        Box::pin(async move { self.call(step).await })
    }
}

impl<F, Fut, C, I> IntoHandler<fn(Step<C, I>) -> Fut> for F
where
    F: Fn(Step<C, I>) -> Fut,
{
    type Context = C;
    type Input = I;
    type Future = Fut;

    fn attempt(self: Arc<Self>, step: Step<C, I>) -> Fut {
        self(step)
    }
}

/// The attempt of a handler whose types are forgotten.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler whose types are forgotten.
#[derive(Clone)]
pub(crate) struct AnyHandler(Arc<dyn Fn(Step) -> Attempt + Send + Sync>);

impl AnyHandler {
    /// Forgets the types.
    pub(crate) fn new<Kind, H>(handler: H) -> Self
    where
        H: IntoHandler<Kind> + Send + Sync + 'static,
        H::Context: FromJson + Send,
        H::Input: FromJson + Send,
        H::Future: HandlerFuture + Send + 'static,
        <H::Future as HandlerFuture>::Ended: IntoOutcome,
    {
        let handler = Arc::new(handler);
        Self(Arc::new(move |step| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                match step.typed() {
                    Ok(step) => handler.attempt(step).await.into_outcome(),
                    Err(error) => Err::<(), _>(error).into_outcome(),
                }
            })
        }))
    }

    /// Starts an attempt; nothing runs before the first poll.
    pub(crate) fn start(&self, step: Step) -> Attempt {
        (self.0)(step)
    }
}
