//! The commands, a file for each.

pub(crate) mod backup_check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod health;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod orchestrator;
pub(crate) mod processes;
pub(crate) mod prune;
pub(crate) mod queue;
pub(crate) mod reading;
pub(crate) mod stats;
pub(crate) mod step;
pub(crate) mod task;
pub(crate) mod template;
pub(crate) mod why;
pub(crate) mod worker;
