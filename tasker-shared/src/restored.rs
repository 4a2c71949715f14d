//! What a restore from a backup left in a database, and what is to be done about it.

use serde::Serialize;
use sqlx::PgConnection;

use crate::error::Error;

/// What is looked at; a finding names one of them.
pub const CHECKS: [&str; 4] = [
    "queues_have_their_messages",
    "numbers_are_ahead_of_rows",
    "leases_are_held_by_live_workers",
    "processes_are_of_this_life",
];

/// Something that a restore left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct RestoredFinding {
    /// What was looked at.
    pub check: String,
    /// Whether it has to be put right before the database is used; the engine deals with all else.
    pub is_wrong: bool,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub advice: String,
}

/// Examines a restored database. Reads all steps.
pub async fn restored_findings(
    connection: &mut PgConnection,
) -> Result<Vec<RestoredFinding>, Error> {
    let rows = sqlx::query_as(
        "select check_name as check, is_wrong, detail, advice from tasker.restored_findings()",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Puts right what has to be, and skips numbers of messages so that nothing that was sent after the
/// backup is mistaken for what is sent from now on.
pub async fn mend_restored(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select tasker.mend_restored()")
        .execute(connection)
        .await?;
    Ok(())
}
