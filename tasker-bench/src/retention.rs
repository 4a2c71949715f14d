//! Many days in a few minutes: the clock of a database of its own is moved on by a day after each day's
//! tasks, two orchestrators delete what is older than a week, and a transaction is held open for some
//! days in between. The figures are the size of the database, the longest wait for a lock, and how much
//! of the throughput the deletion costs at its default pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use private_postgres::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tasker_shared::config::{RetentionConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::doctor::examine;
use tasker_shared::history::{Retention, Sweep};
use tasker_shared::schema::migrate;
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;
use tasker_testing::{TaskerBinary, TaskerProcess};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::all_ended;
use crate::figures::{Place, Run, figure, throughput, time};
use crate::history::{TEMPLATE, hold_vacuum};
use crate::lock_waits::LongestLockWait;
use crate::output::remark;
use crate::sizes::Sizes;
use crate::{stage, stopwatch};

/// The database, whose clock is moved.
const DATABASE: &str = "history";

/// Days for which tasks are kept.
const KEPT_DAYS: &str = "7";

/// Tasks of one submission.
const BATCH: u32 = 250;

/// Days for which the transaction is held.
const HELD_DAYS: u32 = 3;

/// How long a process may take to start, or to stop.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(30);

/// How long deletion may take for what is due on one day, and the time between two looks.
const LONGEST_DAY: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Longest hold of the transaction, should its days not end.
const LONGEST_HOLD: Duration = Duration::from_hours(1);

/// Steps of a task of [`TEMPLATE`].
const STEPS: u32 = 4;

/// The database, the processes on it, and what is watched meanwhile.
struct Past {
    url: String,
    database: Database,
    worker: TaskerProcess,
    orchestrators: Vec<TaskerProcess>,
    day: u32,
}

/// Makes the days, and notes what they cost.
pub(crate) async fn measure(
    server: &PrivatePostgres,
    sizes: &Sizes,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    let mut past = Past::start(server).await?;
    past.orchestrators(&[
        ("TASKER__RETENTION__COMPLETE_DAYS", KEPT_DAYS),
        ("TASKER__RETENTION__INTERVAL_SECONDS", "1"),
        ("TASKER__RETENTION__PAUSE_MS", "20"),
    ])
    .await?;
    let longest = LongestLockWait::watch(&past.url).await?;
    let mut bytes: Vec<f64> = Vec::new();
    let mut held: Option<JoinHandle<()>> = None;
    for day in 1..=sizes.days {
        if day == sizes.days / 2 {
            held = Some(hold_vacuum(&past.url, LONGEST_HOLD).await?);
        }
        if day == sizes.days / 2 + HELD_DAYS
            && let Some(held) = held.take()
        {
            held.abort();
        }
        past.advance().await?;
        let rate = past.run_tasks(sizes.tasks_a_day).await?;
        past.all_due_gone().await?;
        let (size, tasks) = past.size().await?;
        remark(format!(
            "    day {day}: {:.1} MB, {tasks} tasks, {rate:.0} steps/s, longest wait for a lock {:.1} ms{}",
            size / 1e6,
            longest.milliseconds(),
            if held.is_some() {
                ", with a transaction open"
            } else {
                ""
            }
        ));
        bytes.push(size);
    }
    note_sizes(&bytes, place, run);
    past.stop_orchestrators().await?;
    past.compare(sizes, place, run).await?;
    run.note(place, time("longest_lock_wait"), longest.milliseconds());
    let findings = past
        .database
        .call_without_deadline("doctor", async |connection| examine(connection).await)
        .await?;
    ensure!(findings.is_empty(), "the doctor finds {findings:?}");
    past.end().await
}

fn note_sizes(bytes: &[f64], place: Place, run: &mut Run) {
    let average = |days: &[f64]| {
        days.iter().sum::<f64>() / f64::from(u32::try_from(days.len()).unwrap_or(1)) / 1e6
    };
    let quarter = (bytes.len() / 4).max(1);
    let half = bytes.len() / 2;
    run.note(
        place,
        figure("size_second_quarter", "MB"),
        average(&bytes[quarter.min(half.saturating_sub(1))..half.max(1)]),
    );
    run.note(
        place,
        figure("size_last_quarter", "MB"),
        average(&bytes[bytes.len() - quarter..]),
    );
}

impl Past {
    async fn start(server: &PrivatePostgres) -> Result<Self> {
        // Each run begins at day 0.
        let mut connection = PgConnection::connect(&server.url(stage::DATABASE)).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("drop database if exists {DATABASE}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        server.create_database_if_missing(DATABASE).await?;
        let url = server.url(DATABASE);
        let mut config = TaskerConfig::default();
        config.database.url = url.clone().into();
        let database = Database::connect(&config.database).await?;
        migrate(&database).await?;
        let template = Template::parse_yaml(TEMPLATE).context("the template is wrong")?;
        database
            .call("apply_template", async |connection| {
                apply_template(connection, &template).await
            })
            .await?;
        let mut connection = PgConnection::connect(&url).await?;
        for statement in [
            // A day of these takes seconds: what autovacuum does once a minute it does as often a day.
            "alter system set autovacuum_naptime = '1s'",
            "select pg_reload_conf()",
            // UUIDs have the time of the engine, as they have where the clock is not moved.
            "do $$ begin
              execute replace(
                pg_get_functiondef('tasker.new_task_uuid'::regproc), 'clock_timestamp()', 'tasker.now()'
              );
            end $$",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        let worker = TaskerBinary::at(std::env::current_exe()?)
            .spawn(&["--as-worker", "16"], &environment(&url, &[]));
        let mut past = Self {
            url,
            database,
            worker,
            orchestrators: Vec::new(),
            day: 0,
        };
        past.worker
            .wait_for_line(stopwatch::STARTED, PROCESS_TIMEOUT)
            .await;
        Ok(past)
    }

    /// Starts two orchestrators with these variables.
    async fn orchestrators(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        let arguments = ["--json", "orchestrator", "--bind", "127.0.0.1:0"];
        for _ in 0..2 {
            let environment = environment(&self.url, variables);
            let mut orchestrator = TaskerBinary::locate().spawn(&arguments, &environment);
            orchestrator
                .wait_for_line("{\"api\":", PROCESS_TIMEOUT)
                .await;
            self.orchestrators.push(orchestrator);
        }
        Ok(())
    }

    async fn stop_orchestrators(&mut self) -> Result<()> {
        for mut orchestrator in self.orchestrators.drain(..) {
            let status = orchestrator.terminate(PROCESS_TIMEOUT).await;
            ensure!(status.success(), "{}", orchestrator.output());
        }
        Ok(())
    }

    /// Moves the clock of the engine on by a day, for every session.
    async fn advance(&mut self) -> Result<()> {
        self.day += 1;
        let now = format!(
            "create or replace function tasker.now() returns timestamptz language sql volatile
             as $$ select clock_timestamp() + interval '{} days' $$",
            self.day
        );
        let mut connection = PgConnection::connect(&self.url).await?;
        sqlx::raw_sql(AssertSqlSafe(now))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// Submits tasks and waits for their end; steps a second.
    async fn run_tasks(&self, tasks: u32) -> Result<f64> {
        let started = Instant::now();
        let task = NewTask {
            namespace: "history".to_owned(),
            name: "linear4".to_owned(),
            version: None,
            context: serde_json::json!({ "order_id": 1, "customer": "someone" }),
            priority: 0,
            idempotency_key: None,
            on_conflict: OnConflict::Existing,
        };
        let mut left = tasks;
        while left > 0 {
            let batch = vec![task.clone(); left.min(BATCH) as usize];
            self.database
                .call("submit_tasks", async |connection| {
                    submit_tasks(connection, &batch).await
                })
                .await?;
            left -= left.min(BATCH);
        }
        all_ended(&self.database).await?;
        Ok(f64::from(tasks * STEPS) / started.elapsed().as_secs_f64())
    }

    /// Waits until what was due has left: a day has time for it, and here it would have a second.
    async fn all_due_gone(&self) -> Result<()> {
        let started = Instant::now();
        let is_due = format!(
            "select exists (select from tasker.tasks
             where finished_at < tasker.now() - interval '{KEPT_DAYS} days')"
        );
        while sqlx::query_scalar(AssertSqlSafe(is_due.clone()))
            .fetch_one(self.database.pool())
            .await?
        {
            ensure!(
                started.elapsed() < LONGEST_DAY,
                "what was due did not leave"
            );
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Bytes of the database, and tasks in it.
    async fn size(&self) -> Result<(f64, i64)> {
        Ok(sqlx::query_as(
            "select pg_database_size(current_database())::float8, count(*) from tasker.tasks",
        )
        .fetch_one(self.database.pool())
        .await?)
    }

    /// Measures the throughput in turns: with deletion at its default pace, and without.
    async fn compare(&mut self, sizes: &Sizes, place: Place, run: &mut Run) -> Result<()> {
        self.orchestrators(&[]).await?;
        for _ in 0..=KEPT_DAYS.parse::<u32>()? {
            self.advance().await?;
        }
        let config = RetentionConfig {
            complete_days: KEPT_DAYS.parse()?,
            ..RetentionConfig::default()
        };
        let mut rates = [Vec::new(), Vec::new()];
        let work = Arc::new(Work::default());
        let mut pruned_for = Duration::ZERO;
        for turn in 0..2 * sizes.turns {
            let is_pruning = turn % 2 == 1;
            let pruning = is_pruning
                .then(|| tokio::spawn(prune(self.url.clone(), config.clone(), Arc::clone(&work))));
            let started = Instant::now();
            let mut tasks = 0;
            while started.elapsed() < sizes.sustained {
                self.run_tasks(BATCH * 4).await?;
                tasks += BATCH * 4;
            }
            let rate = f64::from(tasks * STEPS) / started.elapsed().as_secs_f64();
            if let Some(pruning) = pruning {
                pruning.abort();
                pruned_for += started.elapsed();
            }
            remark(format!(
                "    turn {turn}: {rate:.0} steps/s, {} tasks deleted so far",
                work.deleted.load(Relaxed)
            ));
            rates[usize::from(is_pruning)].push(rate);
        }
        let busy = Duration::from_micros(work.busy_us.load(Relaxed));
        run.note(
            place,
            figure("pruning_busy", "% of a connection"),
            100.0 * busy.as_secs_f64() / pruned_for.as_secs_f64(),
        );
        for (rates, name) in rates.iter_mut().zip(["without_pruning", "with_pruning"]) {
            run.note(
                place,
                throughput(name),
                crate::figures::quantile(rates, 0.5),
            );
        }
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        self.stop_orchestrators().await?;
        let status = self.worker.terminate(PROCESS_TIMEOUT).await;
        ensure!(status.success(), "{}", self.worker.output());
        for statement in [
            "alter system reset autovacuum_naptime",
            "select pg_reload_conf()",
        ] {
            sqlx::raw_sql(statement)
                .execute(self.database.pool())
                .await?;
        }
        self.database.pool().close().await;
        Ok(())
    }
}

/// What deletion did: tasks, and for how long it was busy.
#[derive(Debug, Default)]
struct Work {
    deleted: AtomicU64,
    busy_us: AtomicU64,
}

/// Deletes what is due, as an orchestrator does, until it is aborted.
async fn prune(url: String, config: RetentionConfig, work: Arc<Work>) -> Result<()> {
    let retention = Retention::new(&config, "bench");
    let mut connection = PgConnection::connect(&url).await?;
    let hours = config.complete_days * 24;
    loop {
        let started = Instant::now();
        let pruned = retention
            .sweep(&mut connection, Sweep::Of { hours })
            .await?;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        work.busy_us.fetch_add(took, Relaxed);
        work.deleted.fetch_add(pruned.count(), Relaxed);
        sleep(config.pause).await;
    }
}

/// A process is configured by nothing but this and its arguments.
fn environment<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut environment = vec![
        ("DATABASE_URL", url),
        ("TASKER_ENV", "production"),
        ("TASKER__STATISTICS__ENABLED", "false"),
    ];
    environment.extend(more);
    environment
}
