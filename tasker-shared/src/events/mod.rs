//! What happened to tasks and steps, for whoever wants to know in this process.
//!
//! Events are told after the fact and lossy by contract: nothing of the engine depends on them. A
//! publisher queues them and hands them to subscribers; a subscriber that is too slow misses some,
//! and is told how many. Events for other languages go through a queue of their own.

mod ffi;
mod in_process;
mod lifecycle;
mod publisher;

pub use ffi::{FfiSender, ffi_queue};
pub use in_process::{EventSubscription, InProcessEvents};
pub use lifecycle::{LifecycleEvent, Occurrence};
pub use publisher::EventPublisher;

#[cfg(test)]
mod tests;
