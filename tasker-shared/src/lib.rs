//! The domain of Tasker: configuration, channels, templates, states and the queries of the engine.

pub mod channel;
pub mod config;
pub mod dag;
pub mod error;
pub mod ids;
pub mod state;
pub mod telemetry;
pub mod template;
