//! What can be registered as a handler, and the one form in which the runtime keeps it.

use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outcome::{HandlerError, IntoOutcome, Outcome};
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
    type Context: DeserializeOwned + Send;
    /// What the step's input is read into.
    type Input: DeserializeOwned + Send;
    /// What becomes the step's result.
    type Output: Serialize;

    /// Runs one attempt.
    fn call(
        &self,
        step: Step<Self::Context, Self::Input>,
    ) -> impl Future<Output = Result<Self::Output, HandlerError>> + Send;
}

/// The attempt of a handler whose types are forgotten.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler whose types are forgotten.
#[derive(Clone)]
pub struct AnyHandler(Arc<dyn Fn(Step) -> Attempt + Send + Sync>);

impl AnyHandler {
    /// Starts an attempt; nothing runs before the first poll.
    pub(crate) fn start(&self, step: Step) -> Attempt {
        (self.0)(step)
    }
}

/// Whatever can be registered: an async function of a [`Step`], or a [`Handler`].
///
/// `Kind` tells the two apart; it is inferred.
pub trait IntoHandler<Kind> {
    /// Forgets the types.
    fn into_handler(self) -> AnyHandler;
}

/// Marks handlers that are types.
#[derive(Debug)]
pub enum OfType {}

impl<H: Handler> IntoHandler<OfType> for H {
    fn into_handler(self) -> AnyHandler {
        let handler = Arc::new(self);
        AnyHandler(Arc::new(move |step| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                match step.typed() {
                    Ok(step) => handler.call(step).await.into_outcome(),
                    Err(error) => Err::<(), _>(error).into_outcome(),
                }
            })
        }))
    }
}

impl<F, Fut, C, I, O> IntoHandler<fn(Step<C, I>) -> O> for F
where
    F: Fn(Step<C, I>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = O> + Send + 'static,
    C: DeserializeOwned + Send,
    I: DeserializeOwned + Send,
    O: IntoOutcome,
{
    fn into_handler(self) -> AnyHandler {
        let function = Arc::new(self);
        AnyHandler(Arc::new(move |step| {
            let function = Arc::clone(&function);
            Box::pin(async move {
                match step.typed() {
                    Ok(step) => function(step).await.into_outcome(),
                    Err(error) => Err::<(), _>(error).into_outcome(),
                }
            })
        }))
    }
}
