//! Databases of the private server: made, copied, removed.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use crate::error::ServerError;

const DEADLINE: Duration = Duration::from_mins(1);
/// SQLSTATE of a database that another process made in the meantime.
const DUPLICATE_DATABASE: &str = "42P04";

/// Creates the database unless it exists; says whether it did.
pub(crate) async fn create_if_missing(server: &str, name: &str) -> Result<bool, ServerError> {
    let identifier = identifier(name)?;
    if exists(server, name).await? {
        return Ok(false);
    }
    let create = format!("create database {identifier} template template0");
    match execute(server, create).await {
        Err(ServerError::Failed(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some(DUPLICATE_DATABASE) =>
        {
            Ok(false)
        }
        created => created.map(|()| true),
    }
}

/// Creates a database as a copy of another one, in which nobody may be.
pub(crate) async fn copy(server: &str, source: &str, name: &str) -> Result<(), ServerError> {
    let (source, name) = (identifier(source)?, identifier(name)?);
    execute(server, format!("create database {name} template {source}")).await
}

/// Removes a database, and ends its sessions, where it exists.
pub(crate) async fn drop(server: &str, name: &str) -> Result<(), ServerError> {
    let name = identifier(name)?;
    execute(
        server,
        format!("drop database if exists {name} with (force)"),
    )
    .await
}

async fn exists(server: &str, name: &str) -> Result<bool, ServerError> {
    within_deadline(async {
        let query = "select exists (select from pg_catalog.pg_database where datname = $1)";
        let mut connection = PgConnection::connect(server).await?;
        sqlx::query_scalar(query)
            .bind(name)
            .fetch_one(&mut connection)
            .await
    })
    .await
}

async fn execute(server: &str, statement: String) -> Result<(), ServerError> {
    within_deadline(async {
        let mut connection = PgConnection::connect(server).await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map(|_| ())
    })
    .await
}

async fn within_deadline<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, ServerError> {
    let done = timeout(DEADLINE, work).await;
    done.map_or(Err(ServerError::Silent(DEADLINE)), |done| Ok(done?))
}

/// The name as SQL takes it whatever characters it has.
fn identifier(name: &str) -> Result<String, ServerError> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(ServerError::BadName {
            name: name.to_owned(),
        });
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}
