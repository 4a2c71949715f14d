//! Attempts outside of any worker, on the channel and the threads of one: for the gem's own tests,
//! which need no database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use magnus::{Error, RArray, Ruby, Value};
use tasker_shared::config::{SharedFfiConfig, TaskerConfig};
use tasker_worker::Step;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, json_result, wait_for};
use crate::handler;
use crate::json::{self, NotJson};
use crate::native_worker::take;
use crate::of_process::OfProcess;
use crate::refusals::{error, forked, guarded, result_error};
use crate::ruby_events::{Answer, RubyEvents};
use crate::runtime::runtime;

#[magnus::wrap(class = "TaskerCore::Native::Detached", free_immediately, size)]
pub(crate) struct Detached(OfProcess<Attempts>);

struct Attempts {
    events: Arc<RubyEvents>,
    started: Mutex<HashMap<u64, Started>>,
    last: AtomicU64,
}

struct Started {
    runs: JoinHandle<Answer>,
    cancellation: CancellationToken,
}

impl Detached {
    pub(crate) fn new(ruby: &Ruby, buffer_size: usize, buffer_bytes: usize) -> Result<Self, Error> {
        let config = SharedFfiConfig {
            ruby_event_buffer_size: buffer_size,
            ruby_event_buffer_bytes: buffer_bytes,
        };
        guarded(ruby, || {
            Ok(Self(OfProcess::new(Attempts {
                events: Arc::new(RubyEvents::new(&config)),
                started: Mutex::default(),
                last: AtomicU64::new(0),
            })))
        })
    }

    fn attempts(&self, ruby: &Ruby) -> Result<&Attempts, Error> {
        self.0.get().map_err(|it| forked(ruby, it))
    }

    pub(crate) fn take(ruby: &Ruby, this: &Self, attempt: &Attempt) -> Result<bool, Error> {
        guarded(ruby, || take(ruby, &this.attempts(ruby)?.events, attempt))
    }

    pub(crate) fn close(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            this.attempts(ruby)?.events.close();
            Ok(())
        })
    }

    /// Starts an attempt; returns its number.
    pub(crate) fn start(
        ruby: &Ruby,
        this: &Self,
        context: Value,
        input: Value,
    ) -> Result<u64, Error> {
        guarded(ruby, || {
            let attempts = this.attempts(ruby)?;
            let step = Step::detached(of(ruby, context)?, of(ruby, input)?);
            let cancellation = step.cancellation().clone();
            let events = Arc::clone(&attempts.events);
            let runs = runtime(ruby)?.spawn(async move { handler::run(&events, step).await });
            let number = attempts.last.fetch_add(1, Ordering::Relaxed);
            let started = Started { runs, cancellation };
            attempts.lock().insert(number, started);
            Ok(number)
        })
    }

    /// What the attempt came to: `[true, result]`, or `[false, description]`.
    pub(crate) fn outcome(ruby: &Ruby, this: &Self, number: u64) -> Result<RArray, Error> {
        guarded(ruby, || {
            let started = this.attempts(ruby)?.lock().remove(&number);
            let started = started.ok_or_else(|| error(ruby, "there is no such attempt"))?;
            let answer = wait_for(ruby, started.runs)?;
            let pair = ruby.ary_new();
            match answer {
                Ok(Ok(result)) => {
                    pair.push(true)?;
                    pair.push(json::to_ruby(ruby, &result)?)?;
                }
                Ok(Err(failure)) => {
                    pair.push(false)?;
                    pair.push(format!("{failure:?}"))?;
                }
                Err(ended) => {
                    pair.push(false)?;
                    pair.push(ended.to_string())?;
                }
            }
            Ok(pair)
        })
    }

    /// Cancels the task of an attempt.
    pub(crate) fn cancel(ruby: &Ruby, this: &Self, number: u64) -> Result<(), Error> {
        guarded(ruby, || {
            if let Some(started) = this.attempts(ruby)?.lock().get(&number) {
                started.cancellation.cancel();
            }
            Ok(())
        })
    }

    /// Ends an attempt as a timeout does.
    pub(crate) fn end(ruby: &Ruby, this: &Self, number: u64) -> Result<(), Error> {
        guarded(ruby, || {
            if let Some(started) = this.attempts(ruby)?.lock().get(&number) {
                started.runs.abort();
            }
            Ok(())
        })
    }
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Started>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value as it is after a way through JSON.
pub(crate) fn through_json(ruby: &Ruby, value: Value) -> Result<Value, Error> {
    guarded(ruby, || json::to_ruby(ruby, &of(ruby, value)?))
}

/// A result as a worker stores it by default: `[result]`, or `[message, kind]` of its failure.
pub(crate) fn stored_result(ruby: &Ruby, result: Value) -> Result<RArray, Error> {
    guarded(ruby, || {
        let most = TaskerConfig::default().worker.max_result_bytes;
        let stored =
            json_result(ruby, result)?.and_then(|it| tasker_worker::stored_result(it, most));
        let answer = ruby.ary_new();
        match stored {
            Ok(result) => answer.push(json::to_ruby(ruby, &result)?)?,
            Err(failure) => {
                answer.push(failure.to_string())?;
                answer.push(failure.kind_name())?;
            }
        }
        Ok(answer)
    })
}

fn of(ruby: &Ruby, value: Value) -> Result<serde_json::Value, Error> {
    json::from_ruby(ruby, value).map_err(|problem| match problem {
        NotJson::Because(reason) => result_error(ruby, reason),
        NotJson::Raised(error) => error,
    })
}
