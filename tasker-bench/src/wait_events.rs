//! Samples what the sessions of a database wait for while they are in a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Time between two samples.
const SAMPLED_EVERY: Duration = Duration::from_millis(5);

/// What sessions in a call wait for at this moment; nothing, where they run.
const SAMPLE: &str = "
    select coalesce(a.wait_event_type, ''), coalesce(a.wait_event, '') from pg_stat_activity a
    where a.state = 'active' and a.datname = current_database() and a.pid <> pg_backend_pid()
      and a.backend_type = 'client backend'";

/// What is waited for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Nothing: a session runs, or would if a processor were free.
    Running,
    /// That the WAL is flushed, by this session or by another.
    WalFlush,
    /// A place in the WAL's buffers.
    WalInsertion,
    /// A page that another session reads or changes.
    Pages,
    /// That a file is extended.
    Extension,
    /// A lock of a row, a transaction, a table, or that of commits that notify.
    Locks,
    /// Anything else, such as the client.
    Other,
}

impl Class {
    fn of(kind: &str, event: &str) -> Self {
        match (kind, event) {
            ("", _) => Self::Running,
            ("IO", "WALSync" | "WALWrite") | ("LWLock", "WALWrite") => Self::WalFlush,
            ("LWLock", "WALInsert" | "WALBufMapping") => Self::WalInsertion,
            ("LWLock", "BufferContent" | "BufferMapping") | ("BufferPin", _) => Self::Pages,
            ("Lock", "extend") => Self::Extension,
            ("Lock", _) => Self::Locks,
            _ => Self::Other,
        }
    }
}

/// What was sampled, until it is dropped.
pub(crate) struct WaitEvents {
    seen: Arc<Mutex<Seen>>,
    watch: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    samples: u32,
    sessions: HashMap<Class, u32>,
}

impl WaitEvents {
    pub(crate) async fn watch(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        let watch = tokio::spawn(async move {
            loop {
                let events: Result<Vec<(String, String)>, _> =
                    sqlx::query_as(SAMPLE).fetch_all(&mut connection).await;
                if let Ok(events) = events {
                    let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.samples += 1;
                    for (kind, event) in events {
                        *seen.sessions.entry(Class::of(&kind, &event)).or_default() += 1;
                    }
                }
                sleep(SAMPLED_EVERY).await;
            }
        });
        Ok(Self { seen, watch })
    }

    /// Sessions of this class at a time, on average.
    pub(crate) fn sessions(&self, class: Class) -> f64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = seen.sessions.get(&class).copied().unwrap_or_default();
        f64::from(sessions) / f64::from(seen.samples.max(1))
    }
}

impl Drop for WaitEvents {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
