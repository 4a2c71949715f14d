//! The exceptions that the native part raises.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use magnus::value::Lazy;
use magnus::{Error, ExceptionClass, Module, RModule, Ruby};

use crate::of_process::Forked;

static ERROR: Lazy<ExceptionClass> = Lazy::new(|ruby| class(ruby, "Error"));
static CONFIGURATION: Lazy<ExceptionClass> = Lazy::new(|ruby| class(ruby, "ConfigurationError"));
static FORK: Lazy<ExceptionClass> = Lazy::new(|ruby| class(ruby, "ForkError"));
static RESULT: Lazy<ExceptionClass> = Lazy::new(|ruby| class(ruby, "ResultError"));

/// Looks all classes up, before there are several threads to do so.
pub(crate) fn look_up(ruby: &Ruby) {
    for class in [&ERROR, &CONFIGURATION, &FORK, &RESULT] {
        Lazy::force(class, ruby);
    }
}

/// A class that `errors.rb` has defined, or Ruby's own where it has not.
fn class(ruby: &Ruby, name: &str) -> ExceptionClass {
    let module = ruby.class_object().const_get::<_, RModule>("TaskerCore");
    let class = module.and_then(|module| module.const_get(name));
    class.unwrap_or_else(|_| ruby.exception_runtime_error())
}

pub(crate) fn error(ruby: &Ruby, message: impl Display) -> Error {
    Error::new(ruby.get_inner(&ERROR), message.to_string())
}

pub(crate) fn configuration_error(ruby: &Ruby, message: impl Display) -> Error {
    Error::new(ruby.get_inner(&CONFIGURATION), message.to_string())
}

/// What is to be the result of a step cannot be stored.
pub(crate) fn result_error(ruby: &Ruby, message: impl Display) -> Error {
    Error::new(ruby.get_inner(&RESULT), message.to_string())
}

pub(crate) fn forked(ruby: &Ruby, _: Forked) -> Error {
    let message = "the worker runs in the process that this one was forked from, and its threads are \
        not here; start workers after the fork, in each process that is to have one";
    Error::new(ruby.get_inner(&FORK), message)
}

/// Runs what Ruby called. A panic of Rust, which Ruby would turn into an exception that nothing
/// rescues, becomes an ordinary one.
pub(crate) fn guarded<T>(ruby: &Ruby, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let panic = tasker_shared::supervisor::panic_message(panic.as_ref());
        Err(error(ruby, format_args!("a bug in tasker_core: {panic}")))
    })
}
