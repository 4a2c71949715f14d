//! Watches for how long clients wait for locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::output::remark;

/// Time between two samples.
const SAMPLED_EVERY: Duration = Duration::from_millis(10);

/// Shortest wait that is printed, in microseconds.
const PRINTED_FROM_US: u64 = 20_000;

/// The longest wait at this moment, in microseconds. Workers of autovacuum wait for each other, and
/// extensions of files are waited for without any transaction in the way.
const WAITS: &str = "
    select (extract(epoch from clock_timestamp() - l.waitstart) * 1e6)::bigint as waited,
      concat_ws(' ', l.mode, l.locktype, l.relation::regclass, a.query, '; held by', (
        select string_agg(h.query, ', ') from pg_stat_activity h
        where h.pid = any(pg_blocking_pids(l.pid))
      ))
    from pg_locks l
    join pg_stat_activity a on a.pid = l.pid
    where not l.granted and l.waitstart is not null and l.locktype <> 'extend'
      and a.datname = current_database() and a.backend_type = 'client backend'
    order by waited desc
    limit 1";

/// The longest wait for a lock that was sampled, until it is dropped.
pub(crate) struct LongestLockWait {
    microseconds: Arc<AtomicU64>,
    watch: JoinHandle<()>,
}

impl LongestLockWait {
    pub(crate) async fn watch(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let microseconds = Arc::new(AtomicU64::new(0));
        let longest = Arc::clone(&microseconds);
        let watch = tokio::spawn(async move {
            loop {
                let wait: Result<Option<(i64, String)>, _> =
                    sqlx::query_as(WAITS).fetch_optional(&mut connection).await;
                if let Ok(Some((waited, what))) = wait {
                    let waited = waited.unsigned_abs();
                    let is_longest = waited > longest.fetch_max(waited, Relaxed);
                    if is_longest && waited >= PRINTED_FROM_US {
                        remark(format!("    {} ms: {what}", waited / 1000));
                    }
                }
                sleep(SAMPLED_EVERY).await;
            }
        });
        Ok(Self {
            microseconds,
            watch,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing waits for years")]
    pub(crate) fn milliseconds(&self) -> f64 {
        self.microseconds.load(Relaxed) as f64 / 1e3
    }
}

impl Drop for LongestLockWait {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
