//! How ready tasks are discovered: notifications that are listened for and classified, and a poller
//! for what no notification announced.

pub mod classifier;
pub mod events;
pub(crate) mod fallback_poller;
pub(crate) mod listener;
pub(crate) mod search;
