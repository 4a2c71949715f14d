//! Brings a database up to date with this build.
//!
//! PGMQ comes first, from its own scripts. All that is missing of our own follows in one transaction,
//! under a lock: several processes may do this at once, and where something fails nothing is done.

use std::fmt::Write;
use std::time::Duration;

use pgmq::PgmqError;
use pgmq_notify::InstallError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::sleep;
use tracing::warn;

use super::files::SchemaFile;
use super::state::{Applied, FINGERPRINT, SchemaState};
use super::version::Version;
use crate::database::Database;
use crate::error::{Error, advice};

/// SQLSTATE `deadlock_detected`.
const DEADLOCK: &str = "40P01";

/// PostgreSQL 14 is the first with the functions we use.
const OLDEST_SERVER: i32 = 14;

/// How often it is tried to get the locks that changed tables, views and triggers need, and the pause
/// after each attempt: half a minute in all. Who writes waits behind an attempt, so it is short, and
/// shorter than PostgreSQL takes to look for a deadlock (`deadlock_timeout`).
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// How the transaction begins. One statement may take as long as it needs: an index of a long history.
const BEGIN: &str = "\
begin isolation level read committed read write;
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local client_min_messages = warning;
set local lock_timeout = 0;
select pg_advisory_xact_lock(hashtextextended('tasker.migrate', 0));
set local lock_timeout = '500ms';
-- Functions call each other, and are created in the order of their names.
set local check_function_bodies = off;
";

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Whether something was missing.
    pub changed: bool,
    /// The newest build that brought the schema up to date: this one, or one that it can run beside.
    pub version: Version,
    /// Whether queues are unlogged now.
    pub unlogged: bool,
    /// How many queues were there and were another way.
    pub queues_switched: u32,
    /// Whether the queues of new namespaces would have been another way.
    pub new_queues_switched: bool,
}

impl Migrated {
    /// Whether queues, present or new, were another way before.
    pub const fn switched_queues(self) -> bool {
        self.queues_switched > 0 || self.new_queues_switched
    }
}

/// Installs PGMQ where it is missing, applies what is not there yet of the schema, and makes the
/// queues logged or unlogged, as the configuration wants them. The schema of a newer build stays as
/// it is where this one can use it.
///
/// # Errors
/// [`Error::Schema`] when the server is too old, when the schema is of a build that this one cannot
/// run beside, and where the database holds a `pgmq` schema of unknown origin; nothing was changed
/// then. [`Error::Locked`] where another session kept what has to change for half a minute.
pub async fn migrate(database: &Database) -> Result<Migrated, Error> {
    refuse_old_server(database).await?;
    let pool = database.direct_pool()?;
    let (applied, has_pgmq) = read(database).await?;
    let (changed, version) = if is_to_be_changed(&applied)? || !has_pgmq {
        pgmq_notify::install(&pool)
            .await
            .map_err(|error| not_installed(&error))?;
        bring_up_to_date(&pool.connect_options()).await?
    } else {
        (
            false,
            applied.version().unwrap_or_else(Version::of_this_build),
        )
    };
    let switch = "select unlogged <> $1, tasker.use_unlogged_queues($1) from tasker.queue_settings";
    let switched = sqlx::query_as(switch)
        .bind(database.unlogged_queues())
        .fetch_one(&pool);
    let (new_queues_switched, queues_switched): (bool, i32) =
        switched.await.map_err(|error| not_switched(&error))?;
    Ok(Migrated {
        changed,
        version,
        unlogged: database.unlogged_queues(),
        queues_switched: queues_switched.unsigned_abs(),
        new_queues_switched,
    })
}

/// The SQL that [`migrate`] would run, for a person to read, or to run with psql; `None` where
/// nothing is missing. PGMQ is not part of it. Where the schema has changed since, it does nothing.
///
/// # Errors
/// As [`migrate`].
pub async fn pending_sql(database: &Database) -> Result<Option<String>, Error> {
    refuse_old_server(database).await?;
    let unlogged = database.unlogged_queues();
    let (applied, has_pgmq) = read(database).await?;
    if !is_to_be_changed(&applied)? {
        return Ok(None);
    }
    let mut script = String::new();
    script.push_str(BEGIN);
    if !has_pgmq {
        script.push_str(PGMQ_FIRST);
    }
    script.push_str(&unless_changed(&applied));
    for file in applied.missing() {
        let _ = write!(script, "\n-- {}\n{}\n", file.name, statements(file));
    }
    let _ = write!(script, "\n{}\ncommit;\n", note_version());
    let _ = write!(
        script,
        "\nselect tasker.use_unlogged_queues({unlogged}) as queues_switched;\n"
    );
    Ok(Some(script))
}

/// What was applied, and whether PGMQ is there.
async fn read(database: &Database) -> Result<(Applied, bool), Error> {
    database
        .call("applied_files", async |connection| {
            let has_pgmq: bool = sqlx::query_scalar("select to_regnamespace('pgmq') is not null")
                .fetch_one(&mut *connection)
                .await?;
            Ok((Applied::read(connection).await?, has_pgmq))
        })
        .await
}

const PGMQ_FIRST: &str = "\
-- PGMQ is missing in this database, and `tasker migrate` would install it. Without that, install it
-- first: `create extension pgmq`, or the SQL of PGMQ 1.8 or newer (https://github.com/pgmq/pgmq).
do $$
begin
  if to_regnamespace('pgmq') is null then
    raise exception 'PGMQ is missing in this database: install it first';
  end if;
end
$$;
";

/// What keeps a script from running where the schema is not the one any more that it was made for.
fn unless_changed(applied: &Applied) -> String {
    let changed = match applied.fingerprint() {
        None => "to_regclass('tasker.applied_files') is not null".to_owned(),
        Some(fingerprint) => format!("({FINGERPRINT}) is distinct from '{fingerprint}'"),
    };
    format!(
        "do $$\nbegin\n  if {changed} then\n    raise exception \
         'the schema has changed since this was printed: print it again';\n  end if;\nend\n$$;\n"
    )
}

/// Applies what is missing, in one transaction; answers whether there was something, and which build
/// the schema is of.
async fn bring_up_to_date(options: &PgConnectOptions) -> Result<(bool, Version), Error> {
    for attempt in 1.. {
        // A connection of its own, whose settings nobody else sees.
        let mut connection = PgConnection::connect_with(options).await?;
        let applied = apply_missing(&mut connection).await;
        // What was not committed is undone in any case.
        let _ = connection.close().await;
        match applied {
            Err(error @ Error::Locked { .. }) if attempt < ATTEMPTS => {
                warn!(%error, "another session holds what is to be changed; trying again");
                sleep(PAUSE).await;
            }
            result => return result,
        }
    }
    unreachable!("the last attempt returns")
}

async fn apply_missing(connection: &mut PgConnection) -> Result<(bool, Version), Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let applied = Applied::read(&mut transaction).await?;
    if !is_to_be_changed(&applied)? {
        let version = applied.version().unwrap_or_else(Version::of_this_build);
        return Ok((false, version));
    }
    for file in applied.missing() {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements(file)));
        if let Err(error) = statements.execute(&mut *transaction).await {
            return Err(not_applied(&file.name, error));
        }
    }
    sqlx::raw_sql(AssertSqlSafe(note_version()))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok((true, Version::of_this_build()))
}

/// Whether something is missing, and this build is the one to add it.
fn is_to_be_changed(applied: &Applied) -> Result<bool, Error> {
    match applied.state() {
        SchemaState::Missing | SchemaState::Outdated { .. } => Ok(true),
        SchemaState::Current | SchemaState::Newer { .. } => Ok(false),
        state @ (SchemaState::TooNew { .. } | SchemaState::Foreign { .. }) => {
            let hint = state.hint();
            Err(Error::Schema(format!("{state}{}{hint}", advice::HINT)))
        }
    }
}

/// What applies a file and remembers that. A migration is never applied twice.
fn statements(file: &SchemaFile) -> String {
    let again = if file.is_migration() {
        ""
    } else {
        "\non conflict (file) do update\n  \
         set checksum = excluded.checksum, applied_at = excluded.applied_at"
    };
    format!(
        "{}\ninsert into tasker.applied_files (file, checksum)\nvalues ('{}', '{}'){again};\n",
        file.sql, file.name, file.checksum
    )
}

fn note_version() -> String {
    format!(
        "insert into tasker.schema_version (version, oldest_build)\nvalues ('{}', '{}')\n\
         on conflict (only_one) do update\n  \
         set version = excluded.version, oldest_build = excluded.oldest_build;",
        Version::of_this_build(),
        Version::OLDEST
    )
}

fn not_applied(file: &str, error: sqlx::Error) -> Error {
    let words = advice::words(&error);
    let is_deadlock = error
        .as_database_error()
        .is_some_and(|error| error.code().is_some_and(|code| code == DEADLOCK));
    let error = Error::from(error);
    if is_deadlock || matches!(error, Error::Locked { .. }) {
        let message = format!("{file}: {words}");
        return Error::Locked { message };
    }
    if error.is_transient() {
        return error;
    }
    Error::Schema(format!("{file} failed and nothing was changed: {words}"))
}

fn not_switched(error: &sqlx::Error) -> Error {
    Error::Schema(format!(
        "the schema is up to date, but queues could not be made logged or unlogged: {}{}run \
         `tasker migrate` again",
        advice::words(error),
        advice::HINT
    ))
}

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
