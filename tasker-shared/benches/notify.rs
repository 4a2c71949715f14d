//! Where to NOTIFY: what each way costs those who commit outcomes, and how soon it is heard.
//!
//! Every transaction records ten outcomes durably (`fsync` and `synchronous_commit` on). The ways
//! are a trigger for each row and one for each statement, both inside the transaction; and a silent
//! transaction with a wake-up afterwards, sent by one connection for the whole process, which merges
//! what has gathered and waits for no flush. Run with `make bench-notify`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, and its numbers are small"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tasker_shared::channel::{self, ChannelSpec, Sender};
use tasker_testing::{Durability, TestServer};

/// How long each combination runs, in each round.
const SPAN: Duration = Duration::from_millis(1500);
/// Rounds; every combination has its turn in each, and medians are given.
const ROUNDS: usize = 5;
/// Clients that commit at the same time.
const COMMITTERS: [usize; 3] = [1, 4, 16];

/// Two channels: what everybody listens to, and that of a namespace.
const SCHEMA: &str = "
create table outcome (id bigint generated always as identity primary key, task int, result jsonb);
create table ready (way text, task int);
create function notify_row() returns trigger language plpgsql as $$
begin
  perform pg_notify('ready', new.task::text || ' ' || new.ctid::text);
  return null;
end $$;
create function notify_statement() returns trigger language plpgsql as $$
begin
  perform pg_notify('ready', (select min(task)::text from new_rows));
  return null;
end $$;
create function notify_twice() returns trigger language plpgsql as $$
begin
  perform pg_notify('ready', (select min(task)::text from new_rows));
  perform pg_notify('ready.namespace', (select min(task)::text from new_rows));
  return null;
end $$;
create table ready_row (like ready);
create table ready_statement (like ready);
create table ready_twice (like ready);
create trigger t after insert on ready_row for each row execute function notify_row();
create trigger t after insert on ready_statement referencing new table as new_rows
  for each statement execute function notify_statement();
create trigger t after insert on ready_twice referencing new table as new_rows
  for each statement execute function notify_twice();
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Silent,
    TriggerPerRow,
    TriggerPerStatement,
    TriggerOnTwoChannels,
    AfterCommit,
    AfterCommitOnTwoChannels,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Silent,
        Self::TriggerPerRow,
        Self::TriggerPerStatement,
        Self::TriggerOnTwoChannels,
        Self::AfterCommit,
        Self::AfterCommitOnTwoChannels,
    ];

    const fn table(self) -> &'static str {
        match self {
            Self::Silent | Self::AfterCommit | Self::AfterCommitOnTwoChannels => "ready",
            Self::TriggerPerRow => "ready_row",
            Self::TriggerPerStatement => "ready_statement",
            Self::TriggerOnTwoChannels => "ready_twice",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Silent => "no notification at all",
            Self::TriggerPerRow => "trigger, each row",
            Self::TriggerPerStatement => "trigger, each statement",
            Self::TriggerOnTwoChannels => "trigger, each statement, two channels",
            Self::AfterCommit => "after the commit, merged",
            Self::AfterCommitOnTwoChannels => "after the commit, merged, two channels",
        }
    }

    const fn announces_afterwards(self) -> bool {
        matches!(self, Self::AfterCommit | Self::AfterCommitOnTwoChannels)
    }
}

/// What one combination did in one round.
#[derive(Debug, Default, Clone)]
struct Measured {
    commits_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    heard_per_second: f64,
}

#[tokio::main]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test` runs benchmarks too, without this argument; nothing is to be measured then.
        return;
    }
    let server = TestServer::start(Durability::Production).await;
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(SCHEMA)).await.unwrap();
    let mut runs = vec![Vec::new(); Way::ALL.len() * COMMITTERS.len()];
    for _ in 0..ROUNDS {
        let combinations = COMMITTERS
            .into_iter()
            .flat_map(|committers| Way::ALL.map(|way| (committers, way)));
        for (run, (committers, way)) in runs.iter_mut().zip(combinations) {
            run.push(measure(server.url(), way, committers).await);
            connection
                .execute("truncate outcome, ready, ready_row, ready_statement, ready_twice")
                .await
                .unwrap();
        }
    }
    print(&runs);
}

async fn measure(url: &str, way: Way, committers: usize) -> Measured {
    let mut listener = PgListener::connect(url).await.unwrap();
    listener.listen("ready").await.unwrap();
    let heard = Arc::new(Mutex::new(0_u64));
    let counting = tokio::spawn({
        let heard = Arc::clone(&heard);
        async move {
            while listener.recv().await.is_ok() {
                *heard.lock().unwrap() += 1;
            }
        }
    });
    let (sender, mut receiver) = channel::bounded::<i32>(ChannelSpec {
        name: "announcements",
        component: "bench",
        capacity: 1000,
    });
    let mut announcer = PgConnection::connect(url).await.unwrap();
    announcer
        .execute("set synchronous_commit = off")
        .await
        .unwrap();
    let announcing = tokio::spawn(async move {
        let mut batch = Vec::new();
        while receiver.recv_many(&mut batch, 1000).await > 0 {
            let payload = batch[0].to_string();
            batch.clear();
            let notify = match way {
                Way::AfterCommitOnTwoChannels => {
                    "select pg_notify('ready', $1), pg_notify('ready.namespace', $1)"
                }
                _ => "select pg_notify('ready', $1)",
            };
            sqlx::query(notify)
                .bind(payload)
                .execute(&mut announcer)
                .await
                .unwrap();
        }
    });
    let started = Instant::now();
    let clients = (0..committers).map(|client| commit(url, way, client, sender.clone(), started));
    let mut times: Vec<f64> = join_all(clients).await.into_iter().flatten().collect();
    let seconds = started.elapsed().as_secs_f64();
    drop(sender);
    announcing.await.unwrap();
    counting.abort();
    times.sort_unstable_by(f64::total_cmp);
    let heard = *heard.lock().unwrap();
    Measured {
        commits_per_second: times.len() as f64 / seconds,
        p50_ms: times[times.len() / 2],
        p99_ms: times[times.len() * 99 / 100],
        heard_per_second: heard as f64 / seconds,
    }
}

/// Commits outcomes until the time is over; answers how long each took, in milliseconds.
async fn commit(
    url: &str,
    way: Way,
    client: usize,
    announcer: Sender<i32>,
    started: Instant,
) -> Vec<f64> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let statement = format!(
        "with recorded as (
           insert into outcome (task, result) select n, '{{}}' from generate_series($1, $1 + 9) n
           returning task
         )
         insert into {} (way, task) select '', task from recorded",
        way.table()
    );
    let mut times = Vec::new();
    let mut task = i32::try_from(client).unwrap() * 10_000_000;
    while started.elapsed() < SPAN {
        let began = Instant::now();
        sqlx::query(AssertSqlSafe(statement.clone()))
            .bind(task)
            .execute(&mut connection)
            .await
            .unwrap();
        if way.announces_afterwards() {
            announcer.send(task).await.unwrap();
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
        task += 10;
    }
    connection.close().await.unwrap();
    times
}

fn print(runs: &[Vec<Measured>]) {
    println!("| committers | way | commits/s | p50 ms | p99 ms | heard/s |");
    println!("|---|---|---|---|---|---|");
    let combinations = COMMITTERS
        .into_iter()
        .flat_map(|committers| Way::ALL.map(|way| (committers, way)));
    for ((committers, way), run) in combinations.zip(runs) {
        println!(
            "| {committers} | {} | {:.0} | {:.2} | {:.2} | {:.0} |",
            way.text(),
            median(run, |measured| measured.commits_per_second),
            median(run, |measured| measured.p50_ms),
            median(run, |measured| measured.p99_ms),
            median(run, |measured| measured.heard_per_second),
        );
    }
}

fn median(run: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = run.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
