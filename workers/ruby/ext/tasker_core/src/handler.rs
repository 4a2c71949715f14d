//! A handler in Ruby, as the runtime sees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tasker_worker::{HandlerError, Handlers, Step};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::ruby_events::{Answer, RubyEvents, StepEvent};

/// The built-in handlers, and one for each of these names in Ruby.
pub(crate) fn handlers(names: Vec<String>, events: &Arc<RubyEvents>) -> Handlers {
    names.into_iter().fold(Handlers::new(), |handlers, name| {
        let events = Arc::clone(events);
        handlers.register(name, move |step: Step| {
            let events = Arc::clone(&events);
            async move { run(&events, step).await }
        })
    })
}

/// Runs one attempt in Ruby, and ends with what it came to.
pub(crate) async fn run(events: &RubyEvents, step: Step) -> Answer {
    let (answer, answered) = oneshot::channel();
    let over = CancellationToken::new();
    // Also where the runtime ends the attempt by dropping this future.
    let _over = over.clone().drop_guard();
    let event = StepEvent {
        place: step.keep_place(),
        deadline: SystemTime::now() + step.timeout(),
        step,
        over,
        answer,
    };
    if let Err(error) = events.deliver(event).await {
        let error = HandlerError::retry(error).kind("worker_stopped");
        return Err(error.after(Duration::ZERO));
    }
    answered.await.unwrap_or_else(|_dropped| {
        Err(HandlerError::retry(
            "the thread of the handler ended without an outcome",
        ))
    })
}
