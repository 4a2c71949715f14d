//! Counts the tasks that have not ended, and those that failed.

use sqlx::PgConnection;

use crate::error::Error;

/// Tasks of one template, in any version, that have not ended or have failed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UnfinishedTasks {
    /// Namespace of the template.
    pub namespace: String,
    /// Name of the template.
    pub name: String,
    /// Tasks of which nothing has been claimed yet.
    pub pending: i32,
    /// Tasks in progress.
    pub in_progress: i32,
    /// Tasks that failed.
    pub failed: i32,
    /// Those of them that failed within a day.
    pub failed_lately: i32,
}

/// Counts by template, in any order, the `most` tasks that were submitted last of those that have not
/// ended, and as many of those that failed.
pub async fn count_unfinished(
    connection: &mut PgConnection,
    most: i32,
) -> Result<Vec<UnfinishedTasks>, Error> {
    Ok(sqlx::query_as("select * from tasker.count_unfinished($1)")
        .bind(most)
        .fetch_all(connection)
        .await?)
}
