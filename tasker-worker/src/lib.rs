//! The worker runtime: receives steps, runs their handlers, reports the outcomes.
//!
//! A handler is an async function or a type, registered under the name that templates use:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tasker_worker::{HandlerError, Handlers, Step};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     order_id: u64,
//!     cents: u64,
//! }
//!
//! #[derive(Deserialize)]
//! struct Reservation {
//!     warehouse: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Receipt {
//!     paid: u64,
//! }
//!
//! async fn charge(step: Step<Order>) -> Result<Receipt, HandlerError> {
//!     let reservation: Reservation = step.dependency("reserve")?;
//!     if reservation.warehouse.is_empty() {
//!         return Err(HandlerError::fail("nothing was reserved"));
//!     }
//!     Ok(Receipt { paid: step.context.cents })
//! }
//!
//! let handlers = Handlers::new().register("payments.charge", charge);
//! # assert!(handlers.names().any(|name| name == "payments.charge"));
//! ```
//!
//! The [`handlers_guide`] says what a handler may take and return, and what to do where the compiler
//! refuses one.
//!
//! A step is given the results of the steps it depends on. Where they are too many or too large for
//! that, its template says `dependency_results: on_request`, and the handler reads one after the other
//! with [`Step::fetch_dependency`].
//!
//! What a handler returns becomes the step's result. Any error is retried as the template says;
//! [`HandlerError::fail`] fails the step permanently. A handler may run twice, when its worker dies
//! before the outcome is recorded, but the step completes once: pass [`Step::step_uuid`] to the
//! systems you call as an idempotency key.
//!
//! [`Worker::run`] is all that the `main` of a worker needs. A handler is unit-tested with
//! [`Step::detached`]; whole workflows are tested with `testing::World`, behind the feature `testing`.
//!
//! Handlers share the threads of the runtime with everything else: work that blocks or computes for
//! long belongs into `tokio::task::spawn_blocking`.
//!
//! [`RunningWorker::subscribe`] lets code in the process follow what the worker does.
//!
//! Inside, notifications become events, events become commands, and the command processor receives
//! steps under a lease. Running steps are kept by heartbeats, outcomes are reported in batches.

mod builtin;
mod chain;
mod command_processor;
mod dead_rows_keeper;
mod dependencies;
mod event_listener;
mod event_system;
mod events;
mod handler;
mod handlers;
pub mod handlers_guide;
mod health;
mod heartbeat;
mod launcher;
mod leases;
mod namespaces;
mod outcome;
mod place;
mod places;
mod registration;
mod reporter;
mod run;
mod step;
mod step_result;
mod step_runner;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use handler::{FromJson, Handler, HandlerFuture, IntoHandler};
pub use handlers::Handlers;
pub use health::WorkerHealth;
pub use outcome::{
    HandlerError, IntoHandlerError, IntoOutcome, Outcome, StepResult, stored_result,
};
pub use place::KeptPlace;
pub use run::RunError;
pub use step::Step;
pub use tasker_shared::outage::Failing;
pub use worker::{Drained, RunningWorker, Worker};

/// The part of the product that this crate is, in the names of channels.
const COMPONENT: &str = "worker";
