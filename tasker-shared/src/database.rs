//! Connections to PostgreSQL: the pool, connections of their own for hot loops, deadlines and
//! migrations.
//!
//! Every call has a name, a deadline and a metric. A call whose connection broke or whose deadline
//! passed may or may not have taken effect; the functions of the engine are safe to repeat.
//!
//! Behind a pooler in transaction mode each call is one transaction, because nothing else keeps the
//! statements of a call on one server connection. It begins by forgetting the prepared statements
//! that other clients left there, and sets for itself what a connection of our own is opened with.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};
use tokio::time::timeout;

use crate::announcer::NotifyChannels;
use crate::config::{DatabaseConfig, Pooler};
use crate::error::{Error, advice};
use crate::telemetry::metrics;

mod migrations;

pub use migrations::{SwitchedQueues, migrate, schema_is_current};

/// Shown to the server, so that `pg_stat_activity` tells our connections from others.
const APPLICATION_NAME: &str = "tasker";

/// How long a connection of the pool may have been idle and is used without asking whether it works.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How long a connection may take to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The database of one process: a pool for occasional calls and the options for own connections.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    options: PgConnectOptions,
    listen_options: PgConnectOptions,
    /// Whether `listen_options` lead past the pooler, if there is one.
    listens_directly: bool,
    channels: NotifyChannels,
    unlogged_queues: bool,
    call_timeout: Duration,
    framing: Framing,
}

/// What is put around the statements of a call: behind a pooler the beginning of a transaction.
type Framing = Option<Arc<str>>;

impl Database {
    /// Connects once to see that the configuration is right, and opens the pool.
    ///
    /// # Errors
    /// [`Error::Schema`] for a URL that cannot be read, [`Error::Unavailable`] when nobody answers
    /// there; neither text holds the password.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, Error> {
        let options = connect_options(config.url.as_str(), "database.url", config.pooler, config)?;
        let listens_directly =
            config.pooler == Pooler::None || !config.listen_url.as_str().is_empty();
        let listen_pooler = if listens_directly {
            Pooler::None
        } else {
            config.pooler
        };
        let listen_options = connect_options(
            config.listen_url().as_str(),
            "database.listen_url",
            listen_pooler,
            config,
        )?;
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout())
            // A question before each call would double the round trips of a busy process.
            .test_before_acquire(false)
            .before_acquire(|connection, usage| {
                Box::pin(async move {
                    if usage.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        let database = Self {
            pool,
            options,
            listen_options,
            listens_directly,
            channels: NotifyChannels::with_prefix(&config.channel_prefix),
            unlogged_queues: config.unlogged_queues,
            call_timeout: config.call_timeout(),
            framing: framing(config),
        };
        open(&database.options, config.acquire_timeout())
            .await?
            .close()
            .await?;
        Ok(database)
    }

    /// The pool, for calls that are not part of a hot loop.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The options of a direct connection that can LISTEN.
    pub fn listen_options(&self) -> PgConnectOptions {
        self.listen_options.clone()
    }

    /// The channels on which Tasker announces in this database.
    pub const fn channels(&self) -> &NotifyChannels {
        &self.channels
    }

    /// A connection of its own for one loop; opened at the first call.
    pub fn dedicated(&self) -> DedicatedConnection {
        DedicatedConnection {
            options: self.options.clone(),
            call_timeout: self.call_timeout,
            framing: self.framing.clone(),
            connection: None,
        }
    }

    /// Runs `f` on a connection of the pool, within the deadline of a call.
    pub async fn call<T>(
        &self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let work = async {
            let mut connection = self
                .pool
                .acquire()
                .await
                .map_err(|error| self.named(error))?;
            framed(&mut connection, &self.framing, f).await
        };
        let result = match timeout(self.call_timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut {
                call: name,
                deadline: self.call_timeout,
            }),
        };
        metrics().database_call(name, started.elapsed(), result.is_ok());
        result
    }

    /// A pool past the pooler, for what needs a session.
    ///
    /// # Errors
    /// [`Error::Schema`] where no address leads past it.
    pub(crate) fn direct_pool(&self) -> Result<PgPool, Error> {
        if self.framing.is_none() {
            return Ok(self.pool.clone());
        }
        if !self.listens_directly {
            return Err(Error::Schema(
                "migrations cannot run through a pooler in transaction mode; set \
                 database.listen_url to an address that leads past it"
                    .to_owned(),
            ));
        }
        Ok(PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(self.listen_options.clone()))
    }

    /// Adds to an error of the pool which server it was that did not answer.
    fn named(&self, error: sqlx::Error) -> Error {
        match Error::from(error) {
            Error::Unavailable { message } => Error::Unavailable {
                message: format!("no connection to {}: {message}", describe(&self.options)),
            },
            other => other,
        }
    }
}

/// A connection that one loop owns; it reconnects by itself at the next call after a failure.
#[derive(Debug)]
pub struct DedicatedConnection {
    options: PgConnectOptions,
    call_timeout: Duration,
    framing: Framing,
    connection: Option<PgConnection>,
}

impl DedicatedConnection {
    /// Runs `f` as [`Self::call`] does, after seeing that the connection still lives: for what is not
    /// safe to repeat when it turns out to be broken.
    pub async fn call_alive<T>(
        &mut self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(Ok(())) = timeout(PING_TIMEOUT, connection.ping()).await
        {
            self.connection = Some(connection);
        }
        self.call(name, f).await
    }

    /// Runs `f`, within the deadline of a call; a failed connection is replaced at the next call.
    pub async fn call<T>(
        &mut self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let framing = self.framing.clone();
        self.call_framed(name, &framing, f).await
    }

    /// Runs a single statement that refuses to be part of a transaction, within the deadline of a
    /// call.
    pub async fn call_outside_transaction(
        &mut self,
        name: &'static str,
        statement: String,
    ) -> Result<(), Error> {
        let run = async |connection: &mut PgConnection| {
            let statement = sqlx::raw_sql(AssertSqlSafe(statement));
            statement.execute(connection).await?;
            Ok(())
        };
        self.call_framed(name, &None, run).await
    }

    async fn call_framed<T>(
        &mut self,
        name: &'static str,
        framing: &Framing,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let deadline = self.call_timeout;
        // The connection is out of its place while a call runs: where the call is abandoned
        // half-way, it must not be used again.
        let connection = self.connection.take();
        let work = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => open(&self.options, deadline).await?,
            };
            let result = framed(&mut connection, framing, f).await;
            Ok::<_, Error>((connection, result))
        };
        let result = match timeout(deadline, work).await {
            Ok(Ok((connection, result))) => {
                if !matches!(
                    &result,
                    Err(Error::Unavailable { .. } | Error::TimedOut { .. })
                ) {
                    self.connection = Some(connection);
                }
                result
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::TimedOut {
                call: name,
                deadline,
            }),
        };
        metrics().database_call(name, started.elapsed(), result.is_ok());
        result
    }
}

/// Runs the statements of a call, within a transaction where they would be scattered otherwise.
async fn framed<T>(
    connection: &mut PgConnection,
    framing: &Framing,
    f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(begin) = framing else {
        return f(connection).await;
    };
    let mut transaction = connection
        .begin_with(AssertSqlSafe(begin.to_string()))
        .await?;
    match f(&mut transaction).await {
        Ok(answer) => {
            transaction.commit().await?;
            Ok(answer)
        }
        Err(error) => {
            // The first error tells more; a connection that cannot roll back shows at its next use.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// How calls begin behind the pooler, if there is one.
fn framing(config: &DatabaseConfig) -> Framing {
    if config.pooler == Pooler::None {
        return None;
    }
    let settings =
        session_settings(config).map(|(name, value)| format!("set local {name} = '{value}'"));
    Some(format!("begin; {}; deallocate all", settings.join("; ")).into())
}

/// What our sessions, or transactions, are set to.
fn session_settings(config: &DatabaseConfig) -> [(&'static str, String); 4] {
    [
        ("statement_timeout", config.statement_timeout_ms.to_string()),
        (
            "idle_in_transaction_session_timeout",
            config.statement_timeout_ms.to_string(),
        ),
        // Statements of an engine are short; compiling them costs more than it gains.
        ("jit", "off".to_owned()),
        // Notices such as "already exists, skipping" would be logged.
        ("client_min_messages", "warning".to_owned()),
    ]
}

/// Reads a URL into options that carry our limits to the server.
fn connect_options(
    url: &str,
    key: &str,
    pooler: Pooler,
    config: &DatabaseConfig,
) -> Result<PgConnectOptions, Error> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(Error::Schema(format!(
            "{key} does not start with postgres:// or postgresql://; \
             expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
        )));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        Error::Schema(format!(
            "{key} cannot be read as a URL: {error}; \
             expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
        ))
    })?;
    let options = options
        .application_name(APPLICATION_NAME)
        .disable_statement_logging();
    Ok(match pooler {
        Pooler::None => options.options(session_settings(config)),
        // A pooler refuses settings that it does not know; statements prepared on one of its
        // connections are not there on the next.
        Pooler::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
    })
}

/// Opens one connection and names the server in the error when that fails.
async fn open(options: &PgConnectOptions, deadline: Duration) -> Result<PgConnection, Error> {
    let refused = |reason: String| Error::Unavailable {
        message: format!(
            "could not connect to PostgreSQL at {}: {reason}",
            describe(options)
        ),
    };
    match timeout(deadline, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(sqlx::Error::Database(error))) => {
            Err(refused(if error.message().contains("startup parameter") {
                format!(
                    "{}; a pooler answers there: set database.pooler = \"transaction\"",
                    error.message()
                )
            } else {
                advice::of_server(error.as_ref())
            }))
        }
        Ok(Err(error)) => Err(refused(advice::words(&error))),
        Err(_) => Err(refused(format!("no answer within {deadline:?}"))),
    }
}

/// Where a connection goes, without the password.
fn describe(options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    format!(
        "{place}, database {database}, user {}",
        options.get_username()
    )
}
