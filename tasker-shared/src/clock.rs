//! The engine's clock, for tests that do not want to wait.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::error::Error;

/// Sets how far `tasker.now()` is ahead of the real time, in all sessions of the database at once.
///
/// It replaces the function, so it is for databases of tests alone. Retries, and what is recorded,
/// go by this clock; leases are kept by PGMQ and go by the real one.
pub async fn set_ahead(connection: &mut PgConnection, by: Duration) -> Result<(), Error> {
    let ms = by.as_millis();
    let replace = format!(
        "create or replace function tasker.now() returns timestamptz language sql volatile as $$
           select coalesce(
             nullif(current_setting('tasker.now', true), '')::timestamptz,
             clock_timestamp() + interval '{ms} milliseconds'
           )
         $$"
    );
    sqlx::raw_sql(AssertSqlSafe(replace))
        .execute(connection)
        .await?;
    Ok(())
}
