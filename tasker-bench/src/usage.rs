//! What a workload costs: WAL, transactions, calls, flushes, processor time and memory.
//!
//! The statements here are not part of the engine; they read the counters of the server.

use std::{fs, process};

use anyhow::Result;
use sqlx::PgConnection;
use tasker_shared::database::Database;
use tasker_shared::error::Error;

use crate::figures::{Figure, Place, Run, figure};

const WAL: Figure = figure("wal_per_step", "bytes");
const TRANSACTIONS: Figure = figure("write_transactions_per_step", "");
const CALLS: Figure = figure("sql_calls_per_step", "");
const SYNCS: Figure = figure("wal_syncs_per_step", "");
const CPU_ORCHESTRATOR: Figure = figure("cpu_orchestrator_per_1000_steps", "s");
const CPU_WORKER: Figure = figure("cpu_worker_per_1000_steps", "s");
const CPU_POSTGRES: Figure = figure("cpu_postgres_per_1000_steps", "s");
const CPU_ENGINE: Figure = figure("cpu_engine_per_1000_steps", "s");
const CPU_STATISTICS: Figure = figure("cpu_statistics_per_1000_steps", "s");
const CPU_CLIENT: Figure = figure("cpu_client_per_1000_steps", "s");
const RSS_ORCHESTRATOR: Figure = figure("peak_rss_orchestrator", "MiB");
const RSS_WORKER: Figure = figure("peak_rss_worker", "MiB");

/// What calls of these functions cost within the server, the commit left out.
const FUNCTIONS: [(Figure, &str); 6] = [
    (
        figure("sql_time_submit_per_1000_steps", "s"),
        "%tasker.submit_%",
    ),
    (
        figure("sql_time_claim_per_1000_steps", "s"),
        "%tasker.claim_ready_tasks(%",
    ),
    (
        figure("sql_time_receive_per_1000_steps", "s"),
        "%tasker.receive_steps(%",
    ),
    (
        figure("sql_time_complete_per_1000_steps", "s"),
        "%tasker.complete%step%(%",
    ),
    (
        figure("sql_time_announce_per_1000_steps", "s"),
        "%tasker.announce(%",
    ),
    (
        figure("sql_time_look_per_1000_steps", "s"),
        "%tasker.complete_task(%",
    ),
];

/// Ticks a second in `/proc`; Linux has shown this number to programs on every architecture of
/// today, whatever its kernel uses.
const TICKS_PER_SECOND: f64 = 100.0;

/// The first version of PostgreSQL that counts flushes of the WAL among all other input and output.
const SYNCS_OF_IO: i32 = 180_000;

/// Where in `/proc/PID/stat`, counted behind the name, stand the parent, the two times of the
/// process and the two of its children that ended.
const PARENT: usize = 1;
const TIMES: std::ops::Range<usize> = 11..15;

/// The processes that are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    /// The orchestrator.
    pub(crate) orchestrator: u32,
    /// The worker, where one runs.
    pub(crate) worker: Option<u32>,
    /// The postmaster; its children count with it.
    pub(crate) postgres: u32,
}

/// What has been used so far.
#[derive(Debug)]
pub(crate) struct Usage {
    processes: Processes,
    steps: f64,
    wal_bytes: f64,
    transactions: f64,
    calls: Option<f64>,
    /// Seconds in each of [`FUNCTIONS`], where the server counts them.
    functions: Option<Vec<f64>>,
    cpu: [(Figure, Option<f64>); 4],
    /// Processor time of the sessions that write statistics, which is PostgreSQL's as well.
    statistics: Option<f64>,
}

impl Usage {
    /// Looks at the counters; so many steps have run so far.
    pub(crate) async fn measure(
        database: &Database,
        processes: Processes,
        steps: f64,
    ) -> Result<Self> {
        let (wal_bytes, transactions) = database
            .call("usage", async |connection| counters(connection).await)
            .await?;
        Ok(Self {
            processes,
            steps,
            wal_bytes,
            transactions,
            calls: calls(database).await?,
            statistics: statistics_seconds(database).await?,
            functions: function_times(database).await?,
            cpu: [
                (CPU_ORCHESTRATOR, cpu_seconds(processes.orchestrator)),
                (CPU_WORKER, processes.worker.and_then(cpu_seconds)),
                (CPU_POSTGRES, cpu_seconds_of_tree(processes.postgres)),
                (CPU_CLIENT, cpu_seconds(process::id())),
            ],
        })
    }

    /// Notes what was used since, for each step or for a thousand.
    pub(crate) fn since(&self, before: &Self, place: Place, run: &mut Run) {
        let steps = self.steps - before.steps;
        let mut note = |figure, value| run.note(place, figure, value);
        note(WAL, (self.wal_bytes - before.wal_bytes) / steps);
        note(
            TRANSACTIONS,
            (self.transactions - before.transactions) / steps,
        );
        if let (Some(now), Some(before)) = (self.calls, before.calls) {
            note(CALLS, (now - before) / steps);
        }
        if let (Some(now), Some(before)) = (&self.functions, &before.functions) {
            for (((figure, _), now), before) in FUNCTIONS.iter().zip(now).zip(before) {
                note(*figure, (now - before) / steps * 1e3);
            }
        }
        let mut engine = 0.0;
        for ((figure, now), (_, before)) in self.cpu.iter().zip(&before.cpu) {
            if let (Some(now), Some(before)) = (now, before) {
                let used = (now - before) / steps * 1e3;
                note(*figure, used);
                if *figure != CPU_CLIENT {
                    engine += used;
                }
            }
        }
        // Of the orchestrator, the worker and PostgreSQL together.
        note(CPU_ENGINE, engine);
        if let (Some(now), Some(before)) = (self.statistics, before.statistics) {
            note(CPU_STATISTICS, (now - before) / steps * 1e3);
        }
        for (figure, pid) in [
            (RSS_ORCHESTRATOR, Some(self.processes.orchestrator)),
            (RSS_WORKER, self.processes.worker),
        ] {
            if let Some(mebibytes) = pid.and_then(peak_memory) {
                note(figure, mebibytes);
            }
        }
    }
}

/// Calls of SQL so far, transactions' begins and ends included, those of this program left out;
/// `None` where the server does not count them.
pub(crate) async fn calls(database: &Database) -> Result<Option<f64>> {
    let counted = database.call("calls", async |connection| {
        if !counts_calls(connection).await? {
            return Ok(None);
        }
        let calls = sqlx::query_scalar(
            "select /* bench */ coalesce(sum(calls), 0)::float8 from pg_stat_statements \
             where dbid = (select oid from pg_database where datname = current_database()) \
             and query not like '%/* bench */%'",
        );
        Ok(Some(calls.fetch_one(connection).await?))
    });
    Ok(counted.await?)
}

async fn counts_calls(connection: &mut PgConnection) -> Result<bool, Error> {
    let query = "select /* bench */ exists (select from pg_extension where extname = \
                 'pg_stat_statements')";
    Ok(sqlx::query_scalar(query).fetch_one(connection).await?)
}

/// Seconds in each of [`FUNCTIONS`] so far; `None` where the server does not count them.
async fn function_times(database: &Database) -> Result<Option<Vec<f64>>> {
    let patterns = FUNCTIONS.map(|(_, pattern)| pattern);
    let counted = database.call("function_times", async |connection| {
        if !counts_calls(connection).await? {
            return Ok(None);
        }
        let times = sqlx::query_scalar(
            "select /* bench */ coalesce(sum(s.total_exec_time) / 1000, 0)::float8 \
             from unnest($1::text[]) with ordinality as f(pattern, position) \
             left join pg_stat_statements s on s.query like f.pattern and s.dbid = \
               (select oid from pg_database where datname = current_database()) \
             group by f.position order by f.position",
        );
        Ok(Some(times.bind(patterns).fetch_all(connection).await?))
    });
    Ok(counted.await?)
}

/// Processor time of the sessions whose last statement wrote statistics.
async fn statistics_seconds(database: &Database) -> Result<Option<f64>> {
    let sessions = database.call("statistics_sessions", async |connection| {
        Ok(sqlx::query_scalar(
            "select /* bench */ pid from pg_stat_activity \
             where query like '%tasker.record_samples(%' and query not like '%/* bench */%'",
        )
        .fetch_all(connection)
        .await?)
    });
    let sessions: Vec<i32> = sessions.await?;
    let seconds = sessions
        .into_iter()
        .map(|pid| cpu_seconds(pid.unsigned_abs()));
    Ok(seconds.sum())
}

/// Makes the server count calls, where it was started with what it takes.
pub(crate) async fn count_calls(database: &Database) -> Result<()> {
    let create = database.call("count_calls", async |connection| {
        sqlx::query("create extension if not exists pg_stat_statements")
            .execute(connection)
            .await?;
        Ok(())
    });
    Ok(create.await?)
}

/// Flushes of the WAL by all server processes that have ended since, and by those that write it
/// for others. A process reports what it did when it ends, and before that with some delay.
pub(crate) async fn syncs(database: &Database) -> Result<f64> {
    let syncs = database.call("syncs", async |connection| {
        let version: i32 =
            sqlx::query_scalar("select /* bench */ current_setting('server_version_num')::int")
                .fetch_one(&mut *connection)
                .await?;
        let query = if version >= SYNCS_OF_IO {
            "select coalesce(sum(fsyncs), 0)::float8 from pg_stat_io where object = 'wal'"
        } else {
            "select wal_sync::float8 from pg_stat_wal"
        };
        Ok(sqlx::query_scalar(query).fetch_one(connection).await?)
    });
    Ok(syncs.await?)
}

/// Notes the flushes for each step.
pub(crate) fn note_syncs(syncs: f64, steps: f64, place: Place, run: &mut Run) {
    if steps > 0.0 {
        run.note(place, SYNCS, syncs / steps);
    }
}

/// Whether a task has not ended.
pub(crate) async fn has_open_tasks(database: &Database) -> Result<bool> {
    let open = database.call("has_open_tasks", async |connection| {
        Ok(sqlx::query_scalar(
            "select /* bench */ exists (select from tasker.tasks where state = 'in_progress') \
             or exists (select from tasker.tasks where state = 'pending')",
        )
        .fetch_one(connection)
        .await?)
    });
    Ok(open.await?)
}

/// The settings `fsync` and `synchronous_commit` that are in force.
pub(crate) async fn durability(database: &Database) -> Result<(String, String)> {
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
        "select /* bench */ pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, \
         pg_snapshot_xmax(pg_current_snapshot())::text::float8",
    )
    .fetch_one(connection)
    .await?)
}

/// Processor time of a process; `None` where the system does not tell.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
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
    memory(pid, "VmHWM:")
}

/// The memory a process has, in mebibytes.
pub(crate) fn memory_now(pid: u32) -> Option<f64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, key: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        let own = cpu_seconds(pid);
        assert!(own.is_some());
        assert!(cpu_seconds_of_tree(pid) >= own);
        assert!(peak_memory(pid).is_some_and(|mebibytes| mebibytes > 0.5));
    }
}
