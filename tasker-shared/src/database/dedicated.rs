//! A connection that one loop owns, given up as soon as it may be at fault.
//!
//! A server process that did not answer in time is ended from the next connection. It may be frozen,
//! and do what it was asked when it goes on and nobody waits any more: receive steps that nobody runs.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;
use tracing::debug;

use super::address::{Address, framed};
use crate::error::Error;
use crate::telemetry::metrics;

/// How long a connection may take to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that one loop owns; it reconnects by itself at the next call after a failure.
#[derive(Debug)]
pub struct DedicatedConnection {
    address: Address,
    deadline: Deadline,
    connection: Option<PgConnection>,
    /// The server process of the connection, where it has one to itself.
    process: Option<ServerProcess>,
    /// One that still owes an answer.
    unanswered: Option<ServerProcess>,
}

/// A server process. Its number alone may be that of another by now.
#[derive(Debug, sqlx::FromRow)]
struct ServerProcess {
    pid: i32,
    backend_start: DateTime<Utc>,
}

impl DedicatedConnection {
    pub(super) const fn new(address: Address, call_timeout: Duration) -> Self {
        Self {
            address,
            deadline: Deadline {
                first: call_timeout,
                next: call_timeout,
                longest: call_timeout,
            },
            connection: None,
            process: None,
            unanswered: None,
        }
    }

    /// The same with calls that are given up this soon, because the process at the other end may be
    /// frozen. As long as they are, each gets twice the time of the one before, up to the deadline of
    /// any call: a server that is merely slow gets there.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline.first = deadline.min(self.deadline.longest);
        self.deadline.next = self.deadline.first;
        self
    }

    /// The same with calls that fail with [`Error::Locked`] where they have to wait for a lock for
    /// longer than this.
    #[must_use]
    pub fn waiting_for_locks(mut self, timeout: Duration) -> Self {
        self.address = self.address.waiting_for_locks(timeout);
        self
    }

    /// The same with calls that never take longer than this, for what is of no use later.
    #[must_use]
    pub fn strictly_within(self, deadline: Duration) -> Self {
        let mut within = self.within(deadline);
        within.deadline.longest = within.deadline.first;
        within
    }

    /// Whether each call is one transaction, as behind a pooler: after an error nothing more can be
    /// done in it.
    pub fn is_transactional(&self) -> bool {
        self.address.framing(self.deadline.next).is_some()
    }

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

    /// Runs `f`, within the deadline of a call, which includes the time to connect. After an error
    /// that is not about what was asked the connection is replaced at the next call: the session may
    /// be at fault.
    pub async fn call<T>(
        &mut self,
        name: &'static str,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let framing = self.address.framing(self.deadline.next);
        self.call_framed(name, framing, f).await
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
        self.call_framed(name, None, run).await
    }

    async fn call_framed<T>(
        &mut self,
        name: &'static str,
        framing: Option<String>,
        f: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let deadline = self.deadline.next;
        // The connection is out of its place while a call runs: where the call is abandoned
        // half-way, it must not be used again.
        let connection = self.connection.take();
        let mut process = self.process.take();
        let (address, unanswered) = (&self.address, &mut self.unanswered);
        // Behind a pooler it serves others too.
        let is_own = address.framing(deadline).is_none();
        let work = async {
            let mut connection = if let Some(connection) = connection {
                connection
            } else {
                let mut connection = address.open(deadline).await?;
                if is_own {
                    end(&mut connection, unanswered.take()).await;
                    process = process_of(&mut connection).await;
                }
                connection
            };
            let result = framed(&mut connection, framing, f).await;
            Ok::<_, Error>((connection, result))
        };
        let result = match timeout(deadline, work).await {
            Ok(Ok((connection, result))) => {
                if result.as_ref().map_or_else(Error::spares_session, |_| true) {
                    self.connection = Some(connection);
                    self.process = process;
                }
                result
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.unanswered = process.or(self.unanswered.take());
                Err(Error::TimedOut {
                    call: name,
                    deadline,
                })
            }
        };
        self.deadline.ended(result.is_ok(), started.elapsed());
        if self.deadline.next != deadline {
            // The session has the limits of the earlier deadline.
            self.connection = None;
            self.process = None;
        }
        metrics().database_call(name, started.elapsed(), result.is_ok());
        result
    }
}

/// Ends the process that owes an answer. Where that is not allowed, it does what it was asked.
async fn end(connection: &mut PgConnection, process: Option<ServerProcess>) {
    let Some(ServerProcess { pid, backend_start }) = process else {
        return;
    };
    // A commit that waits for its standby changes nothing any more, and is not replicated if ended.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
         where pid = $1 and backend_start = $2 and wait_event is distinct from 'SyncRep'";
    let ended = sqlx::query(end).bind(pid).bind(backend_start);
    match ended.execute(connection).await {
        Ok(_) => debug!(pid, "ended a server process that did not answer"),
        Err(error) => debug!(%error, pid, "could not end a server process that did not answer"),
    }
}

/// The server process of a connection, where the server tells.
async fn process_of(connection: &mut PgConnection) -> Option<ServerProcess> {
    let process = "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()";
    let process = sqlx::query_as(process).fetch_optional(connection).await;
    process
        .inspect_err(|error| debug!(%error, "could not ask for the server process"))
        .ok()?
}

/// How long the next call may take.
#[derive(Debug)]
struct Deadline {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Deadline {
    /// Notes how a call ended. PostgreSQL, which has the same deadline, may have been a little earlier.
    fn ended(&mut self, well: bool, after: Duration) {
        if well {
            self.next = self.first;
        } else if after >= self.next.mul_f64(0.9) {
            self.next = (self.next * 2).min(self.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn deadline(first: Duration, longest: Duration) -> Deadline {
        Deadline {
            first,
            next: first,
            longest,
        }
    }

    #[test]
    fn a_slow_server_gets_more_time_with_every_call_that_it_does_not_end_in_time() {
        let mut deadline = deadline(10 * S, 65 * S);
        let mut next = Vec::new();
        for _ in 0..4 {
            deadline.ended(false, deadline.next);
            next.push(deadline.next);
        }
        assert_eq!(next, [20 * S, 40 * S, 65 * S, 65 * S]);

        deadline.ended(true, 60 * S);
        assert_eq!(deadline.next, 10 * S);
    }

    #[test]
    fn a_call_that_fails_at_once_is_no_sign_of_a_slow_server() {
        let mut deadline = deadline(10 * S, 65 * S);
        deadline.ended(false, S);
        assert_eq!(deadline.next, 10 * S);
    }
}
