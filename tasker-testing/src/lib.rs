//! What the tests of Tasker and its benchmark share: databases, servers that can be killed,
//! connections that can be cut, processes of the built binary, and the one place that waits.
//!
//! ```no_run
//! # async fn example() {
//! use tasker_testing::{FaultProxy, WAIT_TIMEOUT, TestDatabase, wait_until};
//!
//! let db = TestDatabase::create().await; // migrated, of its own, about 50 ms
//! let proxy = FaultProxy::to(db.url()).await; // proxy.url() leads to the same database
//! proxy.cut();
//! proxy.resume();
//! wait_until("a task is there", WAIT_TIMEOUT, async || {
//!     let count = sqlx::query_scalar("select count(*) from tasker.tasks");
//!     count.fetch_one(&db.pool()).await.is_ok_and(|tasks: i64| tasks > 0)
//! })
//! .await;
//! # }
//! ```
//!
//! Failures of the set-up panic with a text that says what is missing; a test could do nothing else.

mod binary;
mod continuation;
mod database;
mod deployed;
mod pgbouncer;
mod proxy;
mod releases;
mod server;
mod sessions;
mod shared_server;
mod wait;

pub use binary::{TaskerBinary, TaskerProcess};
pub use continuation::{CONTINUATION_LIMIT, THROUGH_ORCHESTRATORS, as_the_tests_are_run};
pub use database::TestDatabase;
pub use deployed::{DeployedQuery, deployed_queries};
pub use pgbouncer::PgBouncer;
pub use private_postgres::Durability;
pub use proxy::FaultProxy;
pub use releases::{Release, releases, releases_folder};
pub use server::TestServer;
pub use sessions::{FrozenSession, LISTENING, end_sessions};
pub use wait::{WAIT_TIMEOUT, wait_for, wait_until};
