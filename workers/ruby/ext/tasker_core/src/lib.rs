//! The native part of the gem `tasker_core`: the worker runtime in a Ruby process.
//!
//! The runtime lives in Rust threads, which never call Ruby. A step for a handler in Ruby becomes an
//! event in the bounded channel `ruby_events`; Ruby threads take events from there, waiting without the
//! interpreter's lock, run the handler, and hand the outcome back. Handlers, threads, signals and logs
//! are the business of the Ruby files; what is here is named `TaskerCore::Native` and used by them alone.

mod attempt;
mod detached;
mod exports;
mod handler;
mod json;
mod logs;
mod native_worker;
mod of_process;
mod refusals;
mod ruby_events;
mod runtime;
mod without_gvl;
