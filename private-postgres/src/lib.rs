//! A private PostgreSQL server as a child process, for development, demos, benchmarks and tests.
//!
//! [`PrivatePostgres::start`] finds the installed binaries, makes a cluster on first use, and runs
//! `postgres` as a direct child that listens on a unix socket only: no port, no password, no clash
//! with a server that is already there. The child never outlives this process, however it ends.
//! Starting and stopping is blocking code without a runtime; it may be called from any thread. What
//! concerns databases is asynchronous, on tokio.

mod account;
mod binaries;
mod child;
mod cluster;
mod databases;
mod error;
mod janitor;
mod process;
mod server;
mod settings;
mod version;

pub use binaries::{Binaries, find_binaries};
pub use child::{DeathSignal, spawn_bound};
pub use error::{ServerError, StartError};
pub use server::PrivatePostgres;
pub use settings::{Durability, Settings, default_dir};
pub use version::Version;
