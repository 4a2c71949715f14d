//! What Ruby sees: `TaskerCore::Native`.

use magnus::{Class, Error, Module, Object, RModule, Ruby, TypedData, function, method};

use crate::attempt::Attempt;
use crate::detached::{Detached, stored_result, through_json};
use crate::native_worker::NativeWorker;
use crate::refusals::{guarded, look_up};

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let native = ruby.define_module("TaskerCore")?.define_module("Native")?;
    native.const_set("VERSION", env!("CARGO_PKG_VERSION"))?;
    native.define_singleton_method("through_json", function!(through_json, 1))?;
    native.define_singleton_method("stored_result", function!(stored_result, 1))?;
    native.define_singleton_method("metrics", function!(metrics, 0))?;
    define_worker(ruby, native)?;
    define_attempt(ruby, native)?;
    define_detached(ruby, native)?;
    // By the one thread that loads the gem. Looking a class up runs Ruby, which may hand its lock to
    // another thread in the middle; where that one looks it up as well, it waits for the first with
    // Ruby's lock in hand, for ever.
    NativeWorker::class(ruby);
    Attempt::class(ruby);
    Detached::class(ruby);
    look_up(ruby);
    Ok(())
}

/// The metrics of the process, in Prometheus' text format.
fn metrics(ruby: &Ruby) -> Result<String, Error> {
    guarded(ruby, || Ok(tasker_shared::telemetry::render_prometheus()))
}

fn define_worker(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let worker = native.define_class("Worker", ruby.class_object())?;
    worker.undef_default_alloc_func();
    worker.define_singleton_method("start", function!(NativeWorker::start, 2))?;
    worker.define_method("concurrency", method!(NativeWorker::concurrency, 0))?;
    worker.define_method("name", method!(NativeWorker::name, 0))?;
    worker.define_method("take", method!(NativeWorker::take, 1))?;
    worker.define_method("wait", method!(NativeWorker::wait, 1))?;
    worker.define_method("wake", method!(NativeWorker::wake, 0))?;
    worker.define_method("stop", method!(NativeWorker::stop, 0))?;
    worker.define_method("close", method!(NativeWorker::close, 0))?;
    worker.define_method("next_line", method!(NativeWorker::next_line, 0))
}

fn define_attempt(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let attempt = native.define_class("Attempt", ruby.class_object())?;
    attempt.undef_default_alloc_func();
    attempt.define_singleton_method("new", function!(Attempt::default, 0))?;
    attempt.define_method("handler", method!(Attempt::handler, 0))?;
    attempt.define_method("context", method!(Attempt::context, 0))?;
    attempt.define_method("input", method!(Attempt::input, 0))?;
    attempt.define_method("dependencies", method!(Attempt::dependencies, 0))?;
    attempt.define_method("facts", method!(Attempt::facts, 0))?;
    attempt.define_method("fetch_dependency", method!(Attempt::fetch_dependency, 1))?;
    attempt.define_method("cancelled?", method!(Attempt::is_cancelled, 0))?;
    attempt.define_method("wait_cancelled", method!(Attempt::wait_cancelled, 1))?;
    attempt.define_method("complete", method!(Attempt::complete, 1))?;
    attempt.define_method("retry", method!(Attempt::retry, 4))?;
    attempt.define_method("fail", method!(Attempt::fail, 3))?;
    attempt.define_method("abandon", method!(Attempt::abandon, 0))
}

fn define_detached(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let detached = native.define_class("Detached", ruby.class_object())?;
    detached.undef_default_alloc_func();
    detached.define_singleton_method("new", function!(Detached::new, 2))?;
    detached.define_method("take", method!(Detached::take, 1))?;
    detached.define_method("close", method!(Detached::close, 0))?;
    detached.define_method("start", method!(Detached::start, 2))?;
    detached.define_method("outcome", method!(Detached::outcome, 1))?;
    detached.define_method("cancel", method!(Detached::cancel, 1))?;
    detached.define_method("end", method!(Detached::end, 1))
}
