//! What happened to tasks and steps, for subscribers.
//!
//! Events are told after the fact and lossy by contract: nothing of the engine depends on them. A
//! publisher queues them and hands them to subscribers; a subscriber that is too slow misses some,
//! and is told how many. A worker publishes what it does itself; [`EventLog`] reads what all
//! processes did. Events for other languages go through a queue of their own.

mod cursor;
mod ffi;
mod in_process;
mod lifecycle;
mod log;
mod publisher;
mod task_ends;

pub use ffi::{FfiSender, ffi_queue};
pub use in_process::{EventSubscription, InProcessEvents};
pub use lifecycle::{EventDocument, LifecycleEvent, Moved, Occurrence, UnknownOccurrence};
pub use log::{EventLog, News};
pub use publisher::EventPublisher;
pub use task_ends::task_ends_of;

#[cfg(test)]
mod tests;
