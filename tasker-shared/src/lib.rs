//! The domain of Tasker: configuration, channels, templates, states and the queries of the engine.

pub mod announcements;
pub mod announcer;
pub mod channel;
#[cfg(feature = "testing")]
pub mod clock;
pub mod config;
pub mod dag;
pub mod database;
pub mod doctor;
pub mod error;
pub mod events;
pub mod gauges;
pub mod history;
pub mod ids;
pub mod moment;
pub mod namespace;
pub mod operator;
pub mod outage;
pub mod process;
pub mod processes;
pub mod queues;
pub mod readiness;
pub mod registration;
pub mod restored;
pub mod schema;
pub mod state;
pub mod statistics;
pub mod steps;
pub mod supervisor;
pub mod tasks;
pub mod telemetry;
pub mod template;
pub mod templates;
pub mod why;

pub use pgmq_notify::backoff;
