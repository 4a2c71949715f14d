//! The schema of the database: what this build brings, which state a database is in, and how it is
//! brought up to date.
//!
//! Tables, types and indexes are numbered migrations that never change once they are released.
//! Functions, views and triggers have a file each, which is applied again when its text changed. The
//! database remembers both, the newest build that brought it up to date, and the oldest that can
//! use it: builds of one minor version run beside each other.

mod files;
mod migrate;
mod state;
mod version;

pub use migrate::{Migrated, migrate, pending_sql};
pub use state::{SchemaState, schema_state};
