//! One attempt in the hands of a Ruby thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use magnus::{Error, RArray, RHash, RString, Ruby, Value};
use serde_json::Value as Json;
use tasker_worker::{HandlerError, KeptPlace, Step};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::json::{self, NotJson};
use crate::of_process::OfProcess;
use crate::refusals::{error, forked, guarded};
use crate::ruby_events::{Answer, StepEvent};
use crate::runtime::runtime;
use crate::without_gvl::{check_interrupts, without_gvl};

/// Longest wait, whatever a handler asks for: the runtime's clock takes no infinite one.
const LONGEST_WAIT: Duration = Duration::from_hours(8760);

/// A place for one attempt: empty, then filled by a Ruby thread that took an event, then answered.
///
/// The thread has it before it has the event, so that whatever ends the thread, there is something
/// to give up.
#[magnus::wrap(class = "TaskerCore::Native::Attempt", free_immediately, size)]
#[derive(Default)]
pub(crate) struct Attempt(Mutex<Option<OfProcess<Running>>>);

/// An attempt that has no answer yet.
struct Running {
    step: Arc<Step>,
    place: KeptPlace,
    deadline_seconds: f64,
    over: CancellationToken,
    answer: oneshot::Sender<Answer>,
}

/// How a handler failed, in the words of Ruby.
struct Failure {
    message: String,
    kind: String,
    details: Option<Json>,
}

impl Attempt {
    pub(crate) fn fill(&self, event: StepEvent) {
        let deadline = event.deadline.duration_since(UNIX_EPOCH);
        *self.lock() = Some(OfProcess::new(Running {
            step: Arc::new(event.step),
            place: event.place,
            deadline_seconds: deadline.unwrap_or_default().as_secs_f64(),
            over: event.over,
            answer: event.answer,
        }));
    }

    /// Reads of the attempt that runs.
    fn read<T>(&self, ruby: &Ruby, read: impl FnOnce(&Running) -> T) -> Result<T, Error> {
        let running = self.lock();
        let Some(running) = running.as_ref() else {
            return Err(error(ruby, "the attempt is over"));
        };
        running.get().map(read).map_err(|it| forked(ruby, it))
    }

    fn step(&self, ruby: &Ruby) -> Result<Arc<Step>, Error> {
        self.read(ruby, |running| Arc::clone(&running.step))
    }

    pub(crate) fn handler(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        guarded(ruby, || Ok(this.step(ruby)?.handler().to_owned()))
    }

    pub(crate) fn context(ruby: &Ruby, this: &Self) -> Result<Value, Error> {
        guarded(ruby, || json::to_ruby(ruby, &this.step(ruby)?.context))
    }

    pub(crate) fn input(ruby: &Ruby, this: &Self) -> Result<Value, Error> {
        guarded(ruby, || json::to_ruby(ruby, &this.step(ruby)?.input))
    }

    pub(crate) fn dependencies(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        guarded(ruby, || {
            json::map_to_ruby(ruby, this.step(ruby)?.dependencies())
        })
    }

    /// What else is known of it.
    pub(crate) fn facts(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        guarded(ruby, || {
            let step = this.step(ruby)?;
            let deadline = this.read(ruby, |running| running.deadline_seconds)?;
            let facts = ruby.hash_new();
            let texts = [
                ("name", step.name()),
                ("handler", step.handler()),
                ("namespace", step.namespace()),
                ("template", step.template()),
                ("task_uuid", &step.task_uuid().to_string()),
                ("step_uuid", &step.step_uuid().to_string()),
            ];
            for (name, text) in texts {
                facts.aset(ruby.to_symbol(name), ruby.str_new(text))?;
            }
            facts.aset(ruby.to_symbol("attempt"), step.attempt())?;
            facts.aset(ruby.to_symbol("max_attempts"), step.max_attempts())?;
            facts.aset(ruby.to_symbol("priority"), step.priority())?;
            facts.aset(ruby.to_symbol("timeout"), step.timeout().as_secs_f64())?;
            facts.aset(ruby.to_symbol("deadline"), deadline)?;
            Ok(facts)
        })
    }

    /// The result of another step as `[result]`, or why there is none as `[message, retryable]`.
    pub(crate) fn fetch_dependency(
        ruby: &Ruby,
        this: &Self,
        name: RString,
    ) -> Result<RArray, Error> {
        guarded(ruby, || {
            let name = name.to_string()?;
            let step = this.step(ruby)?;
            let fetched = wait_for(ruby, step.fetch_dependency::<Json>(&name))?;
            let answer = ruby.ary_new();
            match fetched {
                Ok(result) => answer.push(json::to_ruby(ruby, &result)?)?,
                Err(problem) => {
                    answer.push(problem.to_string())?;
                    answer.push(problem.is_retryable())?;
                }
            }
            Ok(answer)
        })
    }

    /// Whether the outcome is not wanted any more: the task was cancelled, or the attempt is over.
    pub(crate) fn is_cancelled(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        guarded(ruby, || {
            if this.lock().is_none() {
                return Ok(true);
            }
            this.read(ruby, cancelled)
        })
    }

    /// Waits until it is cancelled, or so many seconds; whether it is.
    pub(crate) fn wait_cancelled(
        ruby: &Ruby,
        this: &Self,
        seconds: Option<f64>,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            if this.lock().is_none() {
                return Ok(true);
            }
            let (task, attempt) = this.read(ruby, |running| {
                let task = running.step.cancellation().clone();
                (task, running.over.clone())
            })?;
            let longest = seconds.filter(|seconds| !seconds.is_nan());
            let longest = longest.map_or(LONGEST_WAIT, |seconds| {
                Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT.as_secs_f64()))
            });
            wait_for(ruby, async {
                tokio::select! {
                    () = task.cancelled() => true,
                    () = attempt.cancelled() => true,
                    // The handler's own bound: it asked to wait for as long as this.
                    () = sleep(longest) => false,
                }
            })
        })
    }

    /// Answers with a result. One that is no JSON is a permanent failure, which is logged as such.
    pub(crate) fn complete(ruby: &Ruby, this: &Self, result: Value) -> Result<(), Error> {
        guarded(ruby, || {
            this.answer(json_result(ruby, result)?);
            Ok(())
        })
    }

    /// Answers that the attempt failed and another may succeed, after so many seconds where they
    /// are given.
    pub(crate) fn retry(
        ruby: &Ruby,
        this: &Self,
        message: Value,
        kind: Value,
        details: Value,
        after: Option<f64>,
    ) -> Result<(), Error> {
        guarded(ruby, || {
            let failure = Failure::from_ruby(ruby, message, kind, details)?;
            let mut error = failure.described(HandlerError::retry(&failure.message));
            if let Some(after) = after.and_then(|after| Duration::try_from_secs_f64(after).ok()) {
                error = error.after(after);
            }
            this.answer(Err(error));
            Ok(())
        })
    }

    /// Answers that the step failed permanently.
    pub(crate) fn fail(
        ruby: &Ruby,
        this: &Self,
        message: Value,
        kind: Value,
        details: Value,
    ) -> Result<(), Error> {
        guarded(ruby, || {
            let failure = Failure::from_ruby(ruby, message, kind, details)?;
            this.answer(Err(failure.described(HandlerError::fail(&failure.message))));
            Ok(())
        })
    }

    /// Gives up an attempt that was not answered, where there is one; whether there was.
    pub(crate) fn abandon(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        guarded(ruby, || Ok(this.lock().take().is_some()))
    }

    /// An attempt is answered once; what comes later changes nothing. The place is free first, so
    /// that it is not kept beyond the end of the attempt.
    fn answer(&self, answer: Answer) {
        let Some(running) = self.lock().take() else {
            return;
        };
        let Ok(running) = running.into_inner() else {
            return;
        };
        drop(running.place);
        drop(running.step);
        let _ = running.answer.send(answer);
    }

    /// Never held while Ruby runs.
    fn lock(&self) -> MutexGuard<'_, Option<OfProcess<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// Texts as far as they are any: a failure is told whatever it holds.
    fn from_ruby(ruby: &Ruby, message: Value, kind: Value, details: Value) -> Result<Self, Error> {
        let details = match json::from_ruby(ruby, details) {
            Ok(Json::Null) => None,
            Ok(details) => Some(details),
            Err(NotJson::Because(reason)) => Some(Json::String(format!("left out: {reason}"))),
            Err(NotJson::Raised(error)) => return Err(error),
        };
        Ok(Self {
            message: message.to_string(),
            kind: kind.to_string(),
            details,
        })
    }

    fn described(&self, error: HandlerError) -> HandlerError {
        let error = error.kind(self.kind.clone());
        match &self.details {
            Some(details) => error.details(details.clone()),
            None => error,
        }
    }
}

/// A result as JSON, or the failure of a handler whose result is none; an error where Ruby raised.
pub(crate) fn json_result(ruby: &Ruby, result: Value) -> Result<Answer, Error> {
    match json::from_ruby(ruby, result) {
        Ok(result) => Ok(Ok(result)),
        Err(NotJson::Raised(error)) => Err(error),
        Err(NotJson::Because(reason)) => {
            let message = format_args!("the result cannot be stored: {reason}");
            Ok(Err(HandlerError::fail(message).kind("invalid_result")))
        }
    }
}

fn cancelled(running: &Running) -> bool {
    running.over.is_cancelled() || running.step.cancellation().is_cancelled()
}

/// Waits for what the runtime does, without the interpreter's lock.
pub(crate) fn wait_for<T: Send>(
    ruby: &Ruby,
    future: impl Future<Output = T> + Send,
) -> Result<T, Error> {
    let runtime: Handle = runtime(ruby)?;
    let mut future = std::pin::pin!(future);
    loop {
        let interrupted = Notify::new();
        let ended = without_gvl(ruby, &|| interrupted.notify_one(), || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    ended = &mut future => Some(ended),
                    () = interrupted.notified() => None,
                }
            })
        });
        if let Some(ended) = ended.flatten() {
            return Ok(ended);
        }
        check_interrupts(ruby)?;
    }
}
