//! Measures a real system on this machine, and the machine itself beside it.
//!
//! The orchestrator is the `tasker` binary that was built beside this program, the worker this program
//! with the worker library, both as processes of their own. PostgreSQL is private and flushes every
//! commit. What the machine can do is measured in the same run, and figures are given as ratios to
//! it too, because the noise of a machine is larger than most improvements.

mod baseline;
mod claims;
mod client;
mod figures;
mod history;
mod idle;
mod lock_waits;
mod output;
mod phases;
mod readiness;
mod retention;
mod scale;
mod sizes;
mod stage;
mod stopwatch;
mod submit;
mod usage;
mod wait_events;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use private_postgres::{Durability, PrivatePostgres, Settings, find_binaries};
use serde_json::{Value, json};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::process;
use tasker_shared::schema::migrate;

use crate::baseline::Baseline;
use crate::figures::{Figures, Limit, Run};
use crate::output::{Output, remark};
use crate::sizes::Sizes;
use crate::stage::{DATABASE, Stage};
use crate::workload::Workload;

/// Connections of the server: the roles' and those of the baseline.
const CONNECTIONS: u32 = 200;

/// The library that counts calls of SQL, and where it lies beside the folder of the binaries.
const COUNTER: &str = "pg_stat_statements";
const LIBRARIES: [&str; 2] = ["../lib", "../lib/postgresql"];

const EXAMPLES: &str = "\
The private PostgreSQL runs with fsync and synchronous_commit on. `make bench` builds with
--release; docs/benchmarks.md tells the method. The tasker binary is taken from the folder of this one.

Examples:
  tasker-bench
  tasker-bench --only linear3 --only burst-large --runs 5 --json > figures.jsonl
  tasker-bench --only burst-large --history 5000000
  tasker-bench --quick --only readiness --runs 5 --at-most readiness.p50=10";

/// Measure speed on this machine, against a private PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "tasker-bench", version, after_help = EXAMPLES, max_term_width = 100)]
struct Args {
    /// Print the answer as JSON on standard output, a document a line
    #[arg(long)]
    json: bool,

    /// Measure so often and give the medians
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,

    /// Measure this and the machine only; may be repeated
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<Workload>,

    /// Measure little of everything, to see that it works
    #[arg(long)]
    quick: bool,

    /// Fail where the median of a figure is above a value; may be repeated
    #[arg(long, value_name = "FIGURE=VALUE")]
    at_most: Vec<Limit>,

    /// Fill the tables with so many finished steps first
    #[arg(long, value_name = "STEPS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    history: u64,

    /// Hold back vacuum for so long, as a forgotten transaction does; the sustained load lasts as long
    #[arg(long, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    hold_vacuum: Option<u64>,

    /// Days of the workload history
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=10_000))]
    days: Option<u32>,

    /// Tasks of each of its days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    tasks_a_day: Option<u32>,

    /// Keep the queues out of the log of PostgreSQL, as `database.unlogged_queues` does
    #[arg(long)]
    unlogged_queues: bool,

    /// Be the worker that is measured; it goes on with so many dependents by itself
    #[arg(long, value_name = "LIMIT", hide = true)]
    as_worker: Option<u32>,
}

impl Args {
    const fn output(&self) -> Output {
        if self.json {
            Output::JsonLines
        } else {
            Output::Text
        }
    }

    fn workloads(&self) -> Vec<Workload> {
        match &*self.only {
            // They take their time, and one moves a clock.
            [] => Workload::value_variants()
                .iter()
                .copied()
                .filter(|workload| !matches!(workload, Workload::History | Workload::Scale))
                .collect(),
            only => only.to_vec(),
        }
    }

    fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick {
            Sizes::quick()
        } else {
            Sizes::full()
        };
        sizes.days = self.days.unwrap_or(sizes.days);
        sizes.tasks_a_day = self.tasks_a_day.unwrap_or(sizes.tasks_a_day);
        if let Some(seconds) = self.hold_vacuum {
            sizes.sustained = sizes.sustained.max(Duration::from_secs(seconds));
        }
        sizes
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            remark(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    if let Some(limit) = args.as_worker {
        return stopwatch::serve(limit).await;
    }
    let stop = process::stop_on_signal(|| remark("stopping; the same signal again stops at once"))?;
    if cfg!(debug_assertions) {
        remark("warning: this build is not optimised; its figures say little (use --release)");
    }
    let settings = settings();
    let counts_calls = !settings.extra.is_empty();
    // Servers are started and stopped on a runtime that has nothing else to do then.
    let mut server = PrivatePostgres::start(settings)?;
    let measured = tokio::select! {
        measured = Box::pin(on_server(&args, &server, counts_calls)) => measured,
        () = stop.cancelled() => bail!("stopped before the end"),
    };
    server.stop().context("could not stop PostgreSQL")?;
    measured
}

/// Settings of the server, with a counter of calls where it is installed.
fn settings() -> Settings {
    let settings = Settings::ephemeral()
        .durability(Durability::Production)
        .max_connections(CONNECTIONS);
    let library = |folder: &Path| {
        let file = format!("{COUNTER}.so");
        LIBRARIES
            .iter()
            .any(|lib| folder.join(lib).join(&file).is_file())
    };
    match find_binaries() {
        Ok(binaries) if library(&binaries.folder) => {
            settings.set("shared_preload_libraries", COUNTER)
        }
        _ => settings,
    }
}

async fn on_server(args: &Args, server: &PrivatePostgres, counts_calls: bool) -> Result<()> {
    server.create_database_if_missing(DATABASE).await?;
    let mut config = TaskerConfig::default();
    config.database.url = server.url(DATABASE).into();
    config.database.unlogged_queues = args.unlogged_queues;
    let database = Database::connect(&config.database).await?;
    migrate(&database).await?;
    if counts_calls {
        usage::count_calls(&database).await?;
    }
    if args.history > 0 {
        history::fill(&database, &server.url(DATABASE), args.history).await?;
    }
    let baseline = Baseline::prepare(server).await?;
    let output = args.output();
    output.json_line(&environment(args, server, &database).await?)?;
    output.text(format!(
        "measuring on PostgreSQL {} in {}",
        server.binaries().version,
        server.data_dir().display()
    ))?;
    let figures = measure(args, server, &database, &baseline).await;
    database.pool().close().await;
    let figures = figures?;
    figures.print(output)?;
    figures.check(&args.at_most)
}

async fn measure(
    args: &Args,
    server: &PrivatePostgres,
    database: &Database,
    baseline: &Baseline,
) -> Result<Figures> {
    let sizes = args.sizes();
    let mut figures = Figures::default();
    for number in 1..=args.runs {
        remark(format!("run {number} of {}", args.runs));
        let mut run = Run::default();
        baseline.measure(&mut run).await?;
        for workload in args.workloads() {
            for place in workload.places() {
                remark(match place.continuation {
                    Some(true) => format!("  {}, with continuation", place.workload),
                    Some(false) => format!("  {}, without continuation", place.workload),
                    None => format!("  {}", place.workload),
                });
                let held = match args.hold_vacuum {
                    Some(seconds) => {
                        let span = Duration::from_secs(seconds);
                        Some(history::hold_vacuum(&server.url(DATABASE), span).await?)
                    }
                    None => None,
                };
                baseline.measure_beside(place, &mut run).await?;
                let syncs = usage::syncs(database).await?;
                let (all, orchestrator) = (workload.environment(), workload.orchestrator());
                let mut stage = Stage::start(server, database, all, orchestrator).await?;
                let measured = workload.measure(&mut stage, &sizes, place, &mut run).await;
                measured.with_context(|| stage.output())?;
                let steps = stage.stop().await?;
                let syncs = usage::syncs(database).await? - syncs;
                usage::note_syncs(syncs, steps, place, &mut run);
                if let Some(held) = held {
                    held.abort();
                }
            }
        }
        figures.add(run);
    }
    Ok(figures)
}

async fn environment(args: &Args, server: &PrivatePostgres, database: &Database) -> Result<Value> {
    let (fsync, synchronous_commit) = usage::durability(database).await?;
    Ok(json!({
        "name": "environment",
        "version": env!("CARGO_PKG_VERSION"),
        "optimised": !cfg!(debug_assertions),
        "cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "postgresql": server.binaries().version.to_string(),
        "fsync": fsync,
        "synchronous_commit": synchronous_commit,
        "runs": args.runs,
        "sizes": args.sizes().describe(),
        "history": args.history,
        "hold_vacuum_seconds": args.hold_vacuum,
        "unlogged_queues": args.unlogged_queues,
    }))
}
