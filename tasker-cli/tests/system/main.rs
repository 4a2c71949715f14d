//! The whole system as it runs in production: processes of the built binary on a PostgreSQL, under
//! load, under faults and in the hands of operators.
//!
//! Every test ends with a clean stop of all processes, a healthy `tasker doctor` and no session
//! left on the server.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod alerts;
mod channels;
mod clients;
mod connections;
mod dead_rows;
mod drain;
mod durability;
mod events;
mod fleet;
mod graphs;
mod handlers;
mod idle;
mod late_workers;
mod load;
mod modes;
mod operators;
mod orchestrator_crashes;
mod own_workers;
mod refusals;
mod restore;
mod saturation;
mod server_crashes;
mod small_channels;
mod statistics;
mod templates;
mod troubles;
mod worker_crashes;
mod world;
