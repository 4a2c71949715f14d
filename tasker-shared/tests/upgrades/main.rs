//! Databases of earlier releases: every build upgrades them, and what those releases call goes on
//! working beside it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod calls_of_0_1_0;
mod dump;
mod schema;
mod side_by_side;

use tasker_testing::{Release, TestDatabase};

/// A database as the release left it.
async fn database_of(release: &Release) -> TestDatabase {
    let db = TestDatabase::empty().await;
    db.run_file(&release.dump).await;
    db
}
