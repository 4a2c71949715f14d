//! The API as its clients see it: a real server on a real database.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bodies;
mod bounds;
mod bulk;
mod document;
mod events;
mod gathering;
mod health;
mod large_tasks;
mod listing;
mod operators;
mod outage;
mod panics;
mod pressure;
mod requests;
mod searching;
mod submission;
mod support;
mod templates;
mod waiting;
