//! Brings a database to the schema this program was built for.
//!
//! PGMQ comes first, from its own scripts; our migrations follow, each in its transaction. Several
//! processes may do this at once: each step takes a lock and finds the work already done.

use pgmq::PgmqError;
use pgmq_notify::InstallError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;

use crate::database::Database;
use crate::error::{Error, advice};

/// Keeps our list of applied migrations apart from one the host application may have.
const MIGRATIONS_TABLE: &str = "tasker._migrations";

/// The migrations, compiled in; file order is reading order.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.create_schema("tasker");
    migrator
}

/// What [`migrate`] switched from logged to unlogged queues, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedQueues {
    /// What they are switched to.
    pub unlogged: bool,
    /// How many queues were there and were another way.
    pub present: u32,
    /// Whether the queues of new namespaces would have been another way.
    pub future: bool,
}

impl SwitchedQueues {
    /// Whether anything was another way before.
    #[must_use]
    pub const fn any(self) -> bool {
        self.present > 0 || self.future
    }
}

/// Installs PGMQ where it is missing, applies the migrations that are not there yet, and makes the
/// queues logged or unlogged, as the configuration wants them.
///
/// # Errors
/// [`Error::Schema`] when the database is too old, was migrated by another version of this
/// program, or holds a `pgmq` schema of unknown origin.
pub async fn migrate(database: &Database) -> Result<SwitchedQueues, Error> {
    refuse_old_server(database).await?;
    let pool = database.direct_pool()?;
    pgmq_notify::install(&pool)
        .await
        .map_err(|error| not_installed(&error))?;
    // A connection of its own: one on which a migration failed still holds the lock that keeps
    // others out, and would go on to hold it in the pool.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let migrated = migrator().run(&own).await;
    own.close().await;
    migrated.map_err(schema_error)?;
    let unlogged = database.unlogged_queues;
    let (future, present): (bool, i32) = sqlx::query_as(
        "select unlogged <> $1, tasker.use_unlogged_queues($1) from tasker.queue_settings",
    )
    .bind(unlogged)
    .fetch_one(&pool)
    .await?;
    Ok(SwitchedQueues {
        unlogged,
        present: present.unsigned_abs(),
        future,
    })
}

/// Whether every migration of this program, and nothing unknown to it, is applied.
pub async fn schema_is_current(database: &Database) -> Result<bool, Error> {
    database
        .call("schema_is_current", async |connection| {
            let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
                .bind(MIGRATIONS_TABLE)
                .fetch_one(&mut *connection)
                .await?;
            if !exists {
                return Ok(false);
            }
            let applied = connection
                .list_applied_migrations(MIGRATIONS_TABLE)
                .await
                .map_err(schema_error)?;
            let known = migrator();
            Ok(known.iter().all(|migration| {
                applied.iter().any(|applied| {
                    applied.version == migration.version && applied.checksum == migration.checksum
                })
            }))
        })
        .await
}

/// PostgreSQL 14 is the first with the functions we use.
const OLDEST_SERVER: i32 = 14;

async fn refuse_old_server(database: &Database) -> Result<(), Error> {
    let version: String = database
        .call("server_version", async |connection| {
            Ok(sqlx::query_scalar("show server_version_num")
                .fetch_one(connection)
                .await?)
        })
        .await?;
    let major = version.parse::<i32>().unwrap_or_default() / 10_000;
    if major < OLDEST_SERVER {
        return Err(Error::Schema(format!(
            "the server is PostgreSQL {major}; version {OLDEST_SERVER} or newer is needed"
        )));
    }
    Ok(())
}

fn not_installed(error: &InstallError) -> Error {
    let reason = match error {
        InstallError::Database(error) | InstallError::Scripts(PgmqError::DatabaseError(error)) => {
            advice::words(error)
        }
        error => error.to_string(),
    };
    Error::Schema(format!("could not install the PGMQ functions: {reason}"))
}

fn schema_error(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMismatch(version) => Error::Schema(format!(
            "migration {version} was applied in another form by another build of tasker; \
             use the build that applied it, or a new database"
        )),
        MigrateError::VersionMissing(version) => Error::Schema(format!(
            "the database has migration {version}, which this build of tasker does not know; \
             use a newer build"
        )),
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, version) => Error::Schema(format!(
            "migration {version} failed and was rolled back: {}",
            advice::words(&error)
        )),
        error => Error::Schema(format!("could not migrate the database: {error}")),
    }
}
