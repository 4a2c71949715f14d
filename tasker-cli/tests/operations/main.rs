//! Commands on a database: templates, tasks, steps, queues, the doctor and migrations.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bulk;
#[path = "../common/mod.rs"]
mod common;
mod doctor;
mod history;
mod lists;
mod migrating;
mod operators;
mod queues;
mod searching;
mod show;
mod submitting;
mod templates;
mod why;
