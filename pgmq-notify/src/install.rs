//! Installs PGMQ's SQL, once, whichever process comes first.

use sqlx::PgPool;

/// The oldest PGMQ extension whose functions have the signatures that are called.
const OLDEST_EXTENSION: (u32, u32) = (1, 8);

/// Why PGMQ could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The server has the extension, in a version that lacks functions we call.
    #[error(
        "the PGMQ extension of this database is {0}; run \
         `alter extension pgmq update` to get {min}.{minor} or newer",
        min = OLDEST_EXTENSION.0,
        minor = OLDEST_EXTENSION.1
    )]
    OldExtension(String),
    /// A schema named `pgmq` is there that neither the extension nor the scripts made.
    #[error(
        "the database has a schema named pgmq that was not made by the PGMQ extension or by \
         tasker; rename it, or use another database"
    )]
    ForeignSchema,
    /// The scripts failed.
    #[error(transparent)]
    Scripts(#[from] pgmq::PgmqError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes PGMQ's functions available in the database of `pool`; does nothing when they are.
///
/// Safe to run by several processes at once, and without superuser rights.
///
/// # Errors
/// See [`InstallError`]; nothing is left half done.
pub async fn install(pool: &PgPool) -> Result<(), InstallError> {
    let extension: Option<String> =
        sqlx::query_scalar("select extversion from pg_extension where extname = 'pgmq'")
            .fetch_optional(pool)
            .await?;
    if let Some(version) = extension {
        return match parse(&version) {
            Some(found) if found >= OLDEST_EXTENSION => Ok(()),
            _ => Err(InstallError::OldExtension(version)),
        };
    }
    let foreign: bool = sqlx::query_scalar(
        "select to_regnamespace('pgmq') is not null \
         and to_regclass('pgmq.__pgmq_migrations') is null",
    )
    .fetch_one(pool)
    .await?;
    if foreign {
        return Err(InstallError::ForeignSchema);
    }
    Ok(pgmq::install::install_sql_from_embedded(pool).await?)
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}
