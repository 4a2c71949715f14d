//! Server processes of sessions that are frozen, which keep their connections, locks and silence, or
//! are ended.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::PgPool;

use crate::wait::{WAIT_TIMEOUT, wait_until};

/// The condition for sessions of `pg_stat_activity` whose latest statement was one of a listener.
pub const LISTENING: &str = "(datname = current_database() and application_name = 'tasker' \
    and (query ~ '^(UN)?LISTEN |^/[*] a listener asks' \
      or query = 'select pg_notify($1, '''')'))";

/// The server process of one session, stopped until this is dropped.
///
/// Its client gets no sign: neither an error nor the end of the connection ever comes.
#[derive(Debug)]
pub struct FrozenSession(Pid);

impl FrozenSession {
    /// Freezes the idle session of this database whose latest statement contains `statement`; `None`
    /// where there is no such session at the moment.
    ///
    /// It has to run on this machine, under an account that this process may signal.
    pub async fn idle_after(pool: &PgPool, statement: &str) -> Option<Self> {
        let pid: Option<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and state = 'idle'
               and query like '%' || $1 || '%' and pid <> pg_backend_pid()
             limit 1",
        )
        .bind(statement)
        .fetch_optional(pool)
        .await
        .expect("the server of the tests answers");
        let pid = Pid::from_raw(pid?);
        kill(pid, Signal::SIGSTOP).expect("a session of the tests can be frozen");
        Some(Self(pid))
    }
}

impl Drop for FrozenSession {
    fn drop(&mut self) {
        // It may have been ended meanwhile.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// Ends the sessions of this database whose latest statement contains `statement`, and returns once
/// they are gone.
///
/// # Panics
/// When they do not go.
pub async fn end_sessions(pool: &PgPool, statement: &str) {
    wait_until("the sessions are gone", WAIT_TIMEOUT, async || {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and query like '%' || $1 || '%'
               and pid <> pg_backend_pid()",
        )
        .bind(statement)
        .fetch_one(pool)
        .await
        .expect("the server of the tests answers");
        ended == 0
    })
    .await;
}
