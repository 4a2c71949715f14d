//! Where connections go, and what a new one is set to before it is used.
//!
//! The address is read again for every connection: where it holds no password, that comes from a
//! password file (`PGPASSFILE`, `~/.pgpass`), which may change while the process runs.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use crate::config::{DatabaseConfig, DatabaseUrl, Pooler};
use crate::error::{Error, advice};

/// Shown to the server, so that `pg_stat_activity` tells our connections from others.
const APPLICATION_NAME: &str = "tasker";

/// An address, and the settings of the sessions there.
#[derive(Debug, Clone)]
pub(super) struct Address {
    url: DatabaseUrl,
    /// The URL as it was read first.
    known: PgConnectOptions,
    pooler: Pooler,
    statement_timeout: Duration,
    /// How long a statement waits for a lock; `None` for as long as it may take.
    lock_timeout: Option<Duration>,
}

impl Address {
    /// # Errors
    /// [`Error::Schema`] for a URL that cannot be read.
    pub(super) fn new(
        url: &DatabaseUrl,
        key: &'static str,
        pooler: Pooler,
        config: &DatabaseConfig,
    ) -> Result<Self, Error> {
        let text = url.as_str();
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err(Error::Schema(format!(
                "{key} does not start with postgres:// or postgresql://; \
                 expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            )));
        }
        let known = PgConnectOptions::from_str(text).map_err(|error| {
            Error::Schema(format!(
                "{key} cannot be read as a URL: {error}; \
                 expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            ))
        })?;
        Ok(Self {
            url: url.clone(),
            known,
            pooler,
            statement_timeout: config.statement_timeout,
            lock_timeout: None,
        })
    }

    /// The same with sessions whose statements wait this long for a lock.
    pub(super) const fn waiting_for_locks(mut self, timeout: Duration) -> Self {
        self.lock_timeout = Some(timeout);
        self
    }

    /// The options of a connection whose calls take this long at most, with the password that is
    /// right at the moment.
    pub(super) fn options(&self, deadline: Duration) -> PgConnectOptions {
        let options = PgConnectOptions::from_str(self.url.as_str());
        let options = options.unwrap_or_else(|_| self.known.clone());
        let options = options
            .application_name(APPLICATION_NAME)
            .disable_statement_logging();
        match self.pooler {
            Pooler::None => {
                let own = self.session_settings(deadline);
                options.options(own).options(transport_settings())
            }
            // A pooler refuses settings that it does not know; statements prepared on one of its
            // connections are not there on the next.
            Pooler::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
        }
    }

    /// How calls that take this long at most begin behind the pooler, if there is one.
    pub(super) fn framing(&self, deadline: Duration) -> Option<String> {
        if self.pooler == Pooler::None {
            return None;
        }
        let settings = self.session_settings(deadline).into_iter();
        let settings = settings.map(|(name, value)| format!("set local {name} = '{value}'"));
        let settings = settings.collect::<Vec<_>>();
        Some(format!("begin; {}; deallocate all", settings.join("; ")))
    }

    /// Opens one connection; the error names the server.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also for a server that takes no writes: every loop writes, and a
    /// session that was opened while a server was read-only may stay so for ever.
    pub(super) async fn open(&self, deadline: Duration) -> Result<PgConnection, Error> {
        let options = self.options(deadline);
        let open = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let read_only = is_read_only(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, read_only))
        };
        match timeout(deadline, open).await {
            Ok(Ok((connection, false))) => Ok(connection),
            Ok(Ok((_, true))) => Err(Error::read_only(&describe(&options))),
            Ok(Err(error)) => Err(unreachable(&options, &error)),
            Err(_) => {
                let error = sqlx::Error::Protocol(format!("no answer within {deadline:?}"));
                Err(unreachable(&options, &error))
            }
        }
    }

    /// Where connections go, without the password.
    pub(super) fn describe(&self) -> String {
        describe(&self.known)
    }

    /// What our sessions, or transactions, are set to.
    fn session_settings(&self, deadline: Duration) -> Vec<(&'static str, String)> {
        let milliseconds = |time: Duration| time.as_millis().max(1).to_string();
        // PostgreSQL gives a statement up when the one who made the call does.
        let statement_timeout = milliseconds(self.statement_timeout.min(deadline));
        let mut settings = vec![
            ("statement_timeout", statement_timeout.clone()),
            ("idle_in_transaction_session_timeout", statement_timeout),
            // Statements of an engine are short; compiling them costs more than it gains.
            ("jit", "off".to_owned()),
            // Notices such as "already exists, skipping" would be logged.
            ("client_min_messages", "warning".to_owned()),
        ];
        settings.extend(
            self.lock_timeout
                .map(|time| ("lock_timeout", milliseconds(time))),
        );
        settings
    }
}

/// Whether a transaction that begins on this connection may not write: the server is a standby, or
/// it, the database or the user was made read-only.
pub(super) async fn is_read_only(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // A statement without a name, because there may be a pooler.
    let query = sqlx::raw_sql("select current_setting('transaction_read_only')::boolean");
    let row = query.fetch_one(connection).await?;
    sqlx::Row::try_get(&row, 0)
}

/// Puts the statements of a call into one transaction, where they would be scattered otherwise.
pub(super) async fn framed<T>(
    connection: &mut PgConnection,
    framing: Option<String>,
    f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(begin) = framing else {
        return f(connection).await;
    };
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
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

/// How soon the server finds out that a client is gone without a word. An answer that nobody takes
/// holds the locks of its call, and no timeout of a statement ends that.
fn transport_settings() -> [(&'static str, &'static str); 4] {
    [
        ("tcp_user_timeout", "20000"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "2"),
    ]
}

/// Why there is no connection, with the place where there is none.
fn unreachable(options: &PgConnectOptions, error: &sqlx::Error) -> Error {
    let reason = match error {
        sqlx::Error::Database(error) if error.message().contains("startup parameter") => {
            let message = error.message();
            format!("{message}; a pooler answers there: set database.pooler = \"transaction\"")
        }
        sqlx::Error::Protocol(reason) => reason.clone(),
        error => advice::words(error),
    };
    Error::Unavailable {
        message: format!(
            "could not connect to PostgreSQL at {}: {reason}",
            describe(options)
        ),
    }
}

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
