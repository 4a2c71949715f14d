//! Whole workflows in the tests of a program, with its own handlers, on a private PostgreSQL.
//!
//! Add the feature `testing` where tests are built alone, under `[dev-dependencies]`. The machine
//! needs the server programs of PostgreSQL 14 or later, or `TASKER_PG_BIN` that leads to them; the
//! server is started by the first test of a process, has no port, and is gone when the process is.
//! This is a complete test:
//!
//! ```no_run
#![doc = include_str!("../../tests/testing/an_order.rs")]
//! ```
//!
//! [`World::run`] does not wait for retries: it moves time to each. [`World::run_until_waiting`] and
//! [`World::advance`] let a test look at what is in between. [`World::end`] stops the worker and
//! examines the database as `tasker doctor` does.
//!
//! Everything here panics, with a text for the reader of the failed test, where it cannot do what it
//! was asked: a test could do nothing else.

mod engine;
mod ran_task;
mod server;
mod world;

pub use ran_task::RanTask;
pub use tasker_shared::ids::TaskUuid;
pub use tasker_shared::state::{StepState, TaskState};
pub use tasker_shared::tasks::{NewTask, StepDetail, TaskDetail};
pub use world::World;
