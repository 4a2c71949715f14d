//! What a workload costs: WAL, transactions, processor time and memory.

use std::fs;

use sqlx::PgConnection;
use tasker_shared::database::Database;
use tasker_shared::error::Error;

use crate::commands::bench::figures::{
    CPU_ORCHESTRATOR, CPU_POSTGRES, CPU_WORKER, RSS_ORCHESTRATOR, RSS_WORKER, Run, TRANSACTIONS,
    WAL,
};
use crate::failure::Failure;

/// Ticks a second in `/proc`; Linux has shown this number to programs on every architecture of
/// today, whatever its kernel uses.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where in `/proc/PID/stat`, counted behind the name, stand the parent, the two times of the
/// process and the two of its children that ended.
const PARENT: usize = 1;
const TIMES: std::ops::Range<usize> = 11..15;

/// The processes that are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    /// The orchestrator.
    pub(crate) orchestrator: u32,
    /// The worker.
    pub(crate) worker: u32,
    /// The postmaster; its children count with it.
    pub(crate) postgres: u32,
}

/// What has been used so far.
#[derive(Debug)]
pub(crate) struct Usage {
    processes: Processes,
    wal_bytes: f64,
    transactions: f64,
    cpu_orchestrator: Option<f64>,
    cpu_worker: Option<f64>,
    cpu_postgres: Option<f64>,
}

impl Usage {
    /// Looks at the counters.
    pub(crate) async fn look(database: &Database, processes: Processes) -> Result<Self, Failure> {
        let (wal_bytes, transactions) = database
            .call("usage", async |connection| counters(connection).await)
            .await?;
        Ok(Self {
            processes,
            wal_bytes,
            transactions,
            cpu_orchestrator: cpu_seconds(processes.orchestrator),
            cpu_worker: cpu_seconds(processes.worker),
            cpu_postgres: cpu_seconds_of_tree(processes.postgres),
        })
    }

    /// Notes what was used since, for each step or for a thousand.
    pub(crate) fn since(&self, before: &Self, steps: f64, run: &mut Run) {
        run.note(WAL, (self.wal_bytes - before.wal_bytes) / steps);
        run.note(
            TRANSACTIONS,
            (self.transactions - before.transactions) / steps,
        );
        for (measure, now, before) in [
            (
                CPU_ORCHESTRATOR,
                self.cpu_orchestrator,
                before.cpu_orchestrator,
            ),
            (CPU_WORKER, self.cpu_worker, before.cpu_worker),
            (CPU_POSTGRES, self.cpu_postgres, before.cpu_postgres),
        ] {
            if let (Some(now), Some(before)) = (now, before) {
                run.note(measure, (now - before) / steps * 1e3);
            }
        }
        for (measure, pid) in [
            (RSS_ORCHESTRATOR, self.processes.orchestrator),
            (RSS_WORKER, self.processes.worker),
        ] {
            if let Some(mebibytes) = peak_memory(pid) {
                run.note(measure, mebibytes);
            }
        }
    }
}

/// The settings `fsync` and `synchronous_commit` that are in force.
pub(crate) async fn durability(database: &Database) -> Result<(String, String), Failure> {
    let settings =
        database.call("durability", async |connection| {
            Ok(sqlx::query_as(
                "select current_setting('fsync'), current_setting('synchronous_commit')",
            )
            .fetch_one(connection)
            .await?)
        });
    Ok(settings.await?)
}

/// Bytes of WAL, and transactions that wrote: those that were given a number.
async fn counters(connection: &mut PgConnection) -> Result<(f64, f64), Error> {
    Ok(sqlx::query_as(
        "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, \
         pg_snapshot_xmax(pg_current_snapshot())::text::float8",
    )
    .fetch_one(connection)
    .await?)
}

/// Processor time of a process; `None` where the system does not tell.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    seconds(fields.get(TIMES.start..TIMES.start + 2)?)
}

/// Processor time of a process and all its children, living and ended.
fn cpu_seconds_of_tree(root: u32) -> Option<f64> {
    let mut total = seconds(stat(root)?.get(TIMES)?)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end while the list is read.
        let Some(fields) = stat(pid) else { continue };
        if fields.get(PARENT).and_then(|parent| parent.parse().ok()) == Some(root) {
            total += fields.get(TIMES).and_then(seconds).unwrap_or(0.0);
        }
    }
    Some(total)
}

fn seconds(ticks: &[String]) -> Option<f64> {
    let ticks: Option<Vec<f64>> = ticks.iter().map(|text| text.parse().ok()).collect();
    Some(ticks?.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold blanks and parentheses.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The most memory a process had, in mebibytes.
fn peak_memory(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).is_some());
        assert!(cpu_seconds_of_tree(pid) >= cpu_seconds(pid));
        assert!(peak_memory(pid).is_some_and(|mebibytes| mebibytes > 0.5));
    }
}
