//! The orchestrator: events become commands, commands claim and enqueue.
//!
//! A listener hears what PostgreSQL announces, a classifier turns it into typed events, event
//! systems turn those into commands, and one command processor carries them out: it claims ready
//! steps and puts them in the queues of their namespaces. A poller and the timers send it the same
//! commands. A coordinator keeps all of these loops running. Nothing is decided from what an event
//! says; the database decides.

mod bulk_acts;
mod channels;
mod command_processor;
pub mod commands;
mod engine;
mod event_systems;
mod gauges;
mod health;
mod history;
mod orchestrator;
mod pg_notify_monitor;
mod registration;
mod statistics;
mod task_claim_step_enqueuer;
pub mod task_readiness;
mod tending;
mod timers;
mod unified_event_coordinator;
mod wakeups;

pub use health::OrchestratorHealth;
pub use orchestrator::{Orchestrator, RunningOrchestrator};
pub use tasker_shared::supervisor::{ComponentHealth, ComponentState};
