//! Connections to PostgreSQL: the pool, connections of their own for hot loops, deadlines and
//! migrations.
//!
//! Every call has a name, a deadline and a metric. A call whose connection broke or whose deadline
//! passed may or may not have taken effect; the functions of the engine are safe to repeat.
//!
//! Behind a pooler in transaction mode each call is one transaction, because nothing else keeps the
//! statements of a call on one server connection. It begins by forgetting the prepared statements
//! that other clients left there, and sets for itself what a connection of our own is opened with.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgmq_notify::{ListenEvent, ListenerSettings, Subscriptions, listener};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::announcements::NotifyChannels;
use crate::config::{DatabaseConfig, ListenerConfig, Pooler};
use crate::error::Error;
use crate::telemetry::metrics;

mod address;
mod dedicated;

pub use dedicated::DedicatedConnection;

use address::{Address, framed, is_read_only};

/// How long a connection of the pool may have been idle and is used without asking whether it works.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// Whether the connection that the pool gives was opened for this call and takes no writes. The
    /// pool itself would try again in silence until the time to wait for a connection is over.
    static OPENED_READ_ONLY: Cell<bool>;
}

/// The database of one process: a pool for occasional calls and the address for own connections.
/// Clones share it; each request over the API makes several.
#[derive(Debug, Clone)]
pub struct Database(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    pool: PgPool,
    address: Address,
    listen_address: Address,
    /// Whether `listen_address` leads past the pooler, if there is one.
    listens_directly: bool,
    channels: NotifyChannels,
    unlogged_queues: bool,
    call_timeout: Duration,
}

impl Database {
    /// Connects once to see that the configuration is right, and opens the pool.
    ///
    /// # Errors
    /// [`Error::Schema`] for a URL that cannot be read, [`Error::Unavailable`] when nobody answers
    /// there; neither text holds the password.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, Error> {
        let address = Address::new(&config.url, "database.url", config.pooler, config)?;
        let listens_directly =
            config.pooler == Pooler::None || !config.listen_url.as_str().is_empty();
        let listen_pooler = if listens_directly {
            Pooler::None
        } else {
            config.pooler
        };
        let listen_address = Address::new(
            config.listen_url(),
            "database.listen_url",
            listen_pooler,
            config,
        )?;
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            // A question before each call would double the round trips of a busy process.
            .test_before_acquire(false)
            .before_acquire(|connection, usage| {
                Box::pin(async move {
                    Ok(usage.idle_for <= TRUSTED_FOR || !is_read_only(connection).await?)
                })
            })
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let read_only = is_read_only(connection).await?;
                    // Where nobody asks, the connection serves for what only reads.
                    let _ = OPENED_READ_ONLY.try_with(|opened| opened.set(read_only));
                    Ok(())
                })
            })
            .connect_lazy_with(address.options(config.call_timeout));
        let database = Self(Arc::new(Parts {
            pool,
            address,
            listen_address,
            listens_directly,
            channels: NotifyChannels::with_prefix(&config.channel_prefix),
            unlogged_queues: config.unlogged_queues,
            call_timeout: config.call_timeout,
        }));
        database
            .0
            .address
            .open(config.acquire_timeout)
            .await?
            .close()
            .await?;
        Ok(database)
    }

    /// The pool, for calls that are not part of a hot loop.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The options of a direct connection that can LISTEN. To be asked for again for each connection,
    /// because a password file may have changed.
    pub(crate) fn listen_options(&self) -> PgConnectOptions {
        self.0.listen_address.options(self.0.call_timeout)
    }

    /// Listens until `stop`, and hands every event to `sink`, in order.
    pub async fn listen(
        &self,
        subscriptions: Subscriptions,
        config: &ListenerConfig,
        sink: impl AsyncFnMut(ListenEvent),
        stop: CancellationToken,
    ) {
        let settings = ListenerSettings {
            heartbeat_interval: config.heartbeat_interval,
            reconnect_min: config.reconnect_min,
            reconnect_max: config.reconnect_max,
        };
        listener::run(
            || self.listen_options(),
            subscriptions,
            settings,
            sink,
            stop,
        )
        .await;
    }

    /// The channels on which Tasker announces in this database.
    pub fn channels(&self) -> &NotifyChannels {
        &self.0.channels
    }

    /// Whether the configuration wants queues that are not in the WAL.
    pub(crate) fn unlogged_queues(&self) -> bool {
        self.0.unlogged_queues
    }

    /// A connection of its own for one loop; opened at the first call.
    pub fn dedicated(&self) -> DedicatedConnection {
        DedicatedConnection::new(self.0.address.clone(), self.0.call_timeout)
    }

    /// Runs `f` on a connection of the pool, within the deadline of a call. After an error that is not
    /// about what was asked the connection is given up: the session may be at fault.
    pub async fn call<T>(
        &self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let result = self.call_on_pool(name, f).await;
        metrics().database_call(name, started.elapsed(), result.is_ok());
        result
    }

    /// Runs `f` in a transaction on a connection of the pool, for as long as it takes: what people ask
    /// for now and then reads all of a long history.
    pub async fn call_without_deadline<T>(
        &self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut connection = self.acquire().await?;
        let begin = self.0.address.framing(self.0.call_timeout);
        let begin = begin.unwrap_or_else(|| "begin".to_owned());
        let unbounded = "; set local statement_timeout = 0; \
                         set local idle_in_transaction_session_timeout = 0";
        let result = framed(&mut connection, Some(begin + unbounded), f).await;
        metrics().database_call(name, started.elapsed(), result.is_ok());
        result
    }

    async fn call_on_pool<T>(
        &self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let timed_out = Error::TimedOut {
            call: name,
            deadline: self.0.call_timeout,
        };
        let deadline = tokio::time::Instant::now() + self.0.call_timeout;
        let Ok(acquired) = timeout_at(deadline, self.acquire()).await else {
            return Err(timed_out);
        };
        let mut connection = acquired?;
        let framing = self.0.address.framing(self.0.call_timeout);
        let result = timeout_at(deadline, framed(&mut connection, framing, f)).await;
        let result = result.unwrap_or(Err(timed_out));
        if let Err(error) = &result
            && !error.spares_session()
        {
            // Not given back: the pool would wait for a server that is frozen.
            drop(connection.detach());
        }
        result
    }

    /// A connection of the pool that takes writes, as far as is known.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        let acquire = async || {
            let acquired = self.0.pool.acquire().await;
            let read_only = OPENED_READ_ONLY.with(Cell::get);
            (acquired, read_only)
        };
        let attempt = async || OPENED_READ_ONLY.scope(Cell::new(false), acquire()).await;
        let mut attempted = attempt().await;
        if let (Err(error), _) = &attempted
            && is_about_credentials(error)
        {
            // The password may have changed in its file.
            let options = self.0.address.options(self.0.call_timeout);
            self.0.pool.set_connect_options(options);
            attempted = attempt().await;
        }
        match attempted {
            (Ok(connection), false) => Ok(connection),
            (Ok(connection), true) => {
                drop(connection.detach());
                Err(Error::read_only(&self.0.address.describe()))
            }
            (Err(error), _) => Err(self.named(error)),
        }
    }

    /// Whether the database answers and takes writes; asked again, whatever earlier sessions found.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it does not.
    pub async fn check_writable(&self) -> Result<(), Error> {
        let address = &self.0.address;
        self.call("check_writable", async |connection| {
            if is_read_only(connection).await? {
                return Err(Error::read_only(&address.describe()));
            }
            Ok(())
        })
        .await
    }

    /// A pool past the pooler, for what needs a session.
    ///
    /// # Errors
    /// [`Error::Schema`] where no address leads past it.
    pub(crate) fn direct_pool(&self) -> Result<PgPool, Error> {
        if self.0.address.framing(self.0.call_timeout).is_none() {
            return Ok(self.0.pool.clone());
        }
        if !self.0.listens_directly {
            return Err(Error::Schema(
                "migrations cannot run through a pooler in transaction mode; set \
                 database.listen_url to an address that leads past it"
                    .to_owned(),
            ));
        }
        Ok(PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(self.listen_options()))
    }

    /// Adds to an error of the pool which server it was that did not answer.
    fn named(&self, error: sqlx::Error) -> Error {
        match Error::from(error) {
            Error::Unavailable { message } => Error::Unavailable {
                message: format!("no connection to {}: {message}", self.0.address.describe()),
            },
            other => other,
        }
    }
}

/// Whether the server refused who we say we are.
fn is_about_credentials(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.code().is_some_and(|code| code.starts_with("28")))
}

impl From<&ListenerConfig> for ListenerSettings {
    fn from(config: &ListenerConfig) -> Self {
        Self {
            heartbeat_interval: config.heartbeat_interval,
            reconnect_min: config.reconnect_min,
            reconnect_max: config.reconnect_max,
        }
    }
}
