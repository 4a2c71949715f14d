//! What the machine can do: commits, notifications and PGMQ alone, without an engine.
//!
//! The statements here are not part of the engine: they are what it is compared with.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use private_postgres::PrivatePostgres;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};

use crate::figures::{COMMITS_1, Figure, PGMQ_100, Place, Run, figure, quantile, time};

/// Durable one-row commits a second of sixteen clients.
const COMMITS_16: Figure = figure("durable_commits_16_clients", "commits/s");
/// Time from NOTIFY to its arrival at another connection.
const NOTIFY: Figure = time("notify_round_trip_p50");
/// Messages a second through PGMQ, one at a time.
const PGMQ_1: Figure = figure("pgmq_batch_1", "messages/s");
/// Messages a second through PGMQ, ten at a time.
const PGMQ_10: Figure = figure("pgmq_batch_10", "messages/s");
/// Database of the baseline.
const DATABASE: &str = "baseline";
/// Connections of the baseline.
const CLIENTS: u32 = 18;
/// How long each rate is measured.
const SPAN: Duration = Duration::from_millis(700);
/// Notifications that are timed.
const NOTIFICATIONS: usize = 200;
/// Channel of the notifications.
const CHANNEL: &str = "baseline";
/// Seconds for which a read message is hidden.
const HIDDEN_SECONDS: i32 = 30;

/// A database beside the engine's.
pub(crate) struct Baseline {
    url: String,
}

impl Baseline {
    /// Makes the database with a table.
    pub(crate) async fn prepare(postgres: &PrivatePostgres) -> Result<Self> {
        postgres.create_database_if_missing(DATABASE).await?;
        let url = postgres.url(DATABASE);
        let machine = Machine::connect(&url).await?;
        pgmq_notify::install(&machine.pool)
            .await
            .context("could not install PGMQ")?;
        sqlx::query("create table one_row (value bigint not null)")
            .execute(&machine.pool)
            .await?;
        machine.pool.close().await;
        Ok(Self { url })
    }

    /// Measures the machine.
    pub(crate) async fn measure(&self, run: &mut Run) -> Result<()> {
        let machine = Machine::connect(&self.url).await?;
        let mut note = |figure, value| run.note(Place::machine(), figure, value);
        note(COMMITS_1, machine.commits(1).await?);
        note(COMMITS_16, machine.commits(16).await?);
        note(NOTIFY, machine.notify().await?);
        for (batch, figure) in [(1, PGMQ_1), (10, PGMQ_10), (100, PGMQ_100)] {
            note(figure, machine.pgmq(batch).await?);
        }
        // What a connection did is in the server's counters when it has ended, not always before.
        machine.pool.close().await;
        Ok(())
    }

    /// Measures again what the figures of a workload are compared with, right before it: on a machine
    /// that others use, a comparison with what it could do minutes ago says nothing.
    pub(crate) async fn measure_beside(&self, place: Place, run: &mut Run) -> Result<()> {
        let machine = Machine::connect(&self.url).await?;
        let commits = machine.commits(1).await?;
        run.note(place, COMMITS_1, commits);
        let messages = machine.pgmq(100).await?;
        run.note(place, PGMQ_100, messages);
        machine.pool.close().await;
        Ok(())
    }
}

/// Connections to it.
struct Machine {
    pool: PgPool,
}

impl Machine {
    async fn connect(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CLIENTS)
            .min_connections(CLIENTS)
            .connect(url)
            .await?;
        Ok(Self { pool })
    }

    async fn commits(&self, clients: usize) -> Result<f64> {
        let started = Instant::now();
        let client = |_| async {
            let mut connection = self.pool.acquire().await?;
            let mut commits: u32 = 0;
            while started.elapsed() < SPAN {
                sqlx::query("insert into one_row values (1)")
                    .execute(&mut *connection)
                    .await?;
                commits += 1;
            }
            anyhow::Ok(commits)
        };
        let commits: u32 = try_join_all((0..clients).map(client)).await?.iter().sum();
        Ok(f64::from(commits) / started.elapsed().as_secs_f64())
    }

    async fn notify(&self) -> Result<f64> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        let mut sender = self.pool.acquire().await?;
        let mut times = Vec::with_capacity(NOTIFICATIONS);
        for _ in 0..NOTIFICATIONS {
            let started = Instant::now();
            sqlx::query("select pg_notify($1, '')")
                .bind(CHANNEL)
                .execute(&mut *sender)
                .await?;
            listener.recv().await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(quantile(&mut times, 0.5))
    }

    async fn pgmq(&self, batch: i32) -> Result<f64> {
        let mut connection = self.pool.acquire().await?;
        // A new queue each time: in a used one the rows that were deleted slow every read down
        // until they are vacuumed away, which happens at no certain time.
        for statement in [
            "select pgmq.drop_queue(queue_name) from pgmq.list_queues()",
            "select pgmq.create('baseline')",
        ] {
            sqlx::query(statement).execute(&mut *connection).await?;
        }
        let started = Instant::now();
        let mut messages: u32 = 0;
        while started.elapsed() < SPAN {
            messages += through_queue(&mut connection, batch).await?;
        }
        Ok(f64::from(messages) / started.elapsed().as_secs_f64())
    }
}

/// Sends a batch, reads it and deletes it, each in a transaction of its own.
async fn through_queue(connection: &mut PgConnection, batch: i32) -> Result<u32> {
    sqlx::query("select pgmq.send_batch('baseline', array_fill('{\"n\": 1}'::jsonb, array[$1]))")
        .bind(batch)
        .execute(&mut *connection)
        .await?;
    let read: Vec<i64> = sqlx::query_scalar("select msg_id from pgmq.read('baseline', $1, $2)")
        .bind(HIDDEN_SECONDS)
        .bind(batch)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query("select pgmq.delete('baseline', $1)")
        .bind(&read)
        .execute(&mut *connection)
        .await?;
    Ok(u32::try_from(read.len()).unwrap_or(u32::MAX))
}
