//! The REST API of Tasker: templates, tasks, steps, queues, processes and events over the database,
//! health and metrics of the process; and the web interface.
//!
//! It knows the engine only through the database, so it runs in the orchestrator's process or in
//! one of its own. Every error answer is a problem (RFC 9457); [`openapi`] describes all of it.

mod bulk;
mod connection;
mod cursor;
mod docs;
mod document;
mod event_feed;
mod events;
mod extract;
mod health;
mod limits;
mod object;
mod observe;
mod operate;
mod problem;
mod processes;
mod queues;
mod router;
mod server;
mod state;
mod stats;
mod steps;
mod storable_json;
mod submit;
mod submitter;
mod tasks;
mod templates;
mod ui;
mod waiter;
mod why;

pub use router::openapi;
pub use server::{serve, serve_probes};
pub use state::{ComponentHealth, ComponentsCheck, Probes, WebState};
pub use submitter::OrchestratorBeside;
