//! `tasker bench`: measures a real system on this machine, and the machine itself beside it.
//!
//! Orchestrator and worker are processes of their own, PostgreSQL is private and flushes every
//! commit. What the machine can do is measured in the same run, and figures are given as ratios to
//! it too, because the noise of a machine is larger than most improvements.

mod baseline;
mod claims;
mod client;
mod figures;
mod history;
mod idle;
mod readiness;
mod sizes;
mod stage;
mod stopwatch;
mod submit;
mod usage;
mod workload;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use private_postgres::{Durability, Settings, find_binaries};
use serde_json::{Value, json};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;

use crate::commands::bench::baseline::Baseline;
use crate::commands::bench::figures::{Figures, Limit, Run};
use crate::commands::bench::sizes::Sizes;
use crate::commands::bench::stage::Stage;
use crate::commands::bench::workload::Workload;
use crate::failure::Failure;
use crate::output::{Output, remark};
use crate::roles::children::Workplace;
use crate::roles::private_server::PrivateServer;
use crate::roles::stop;
use crate::setup::Setup;

/// Connections of the server: the roles' and those of the baseline.
const CONNECTIONS: u32 = 200;

/// The library that counts calls of SQL, and where it lies beside the folder of the binaries.
const COUNTER: &str = "pg_stat_statements";
const LIBRARIES: [&str; 2] = ["../lib", "../lib/postgresql"];

const EXAMPLES: &str = "\
The private PostgreSQL runs with fsync and synchronous_commit on. `make bench` builds with
--release; docs/benchmarks.md tells the method.

Examples:
  tasker bench
  tasker bench --only linear3 --only burst-large --runs 5 --json > figures.jsonl
  tasker bench --only burst-large --history 5000000
  tasker bench --quick --only readiness --runs 5 --at-most readiness.p50=10";

/// Arguments of `tasker bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
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

    /// Keep the queues out of the log of PostgreSQL, as `database.unlogged_queues` does
    #[arg(long)]
    unlogged_queues: bool,

    /// Be the worker that is measured; it goes on with so many dependents by itself
    #[arg(long, value_name = "LIMIT", hide = true)]
    as_worker: Option<u32>,
}

impl Args {
    fn workloads(&self) -> &[Workload] {
        match &*self.only {
            [] => Workload::value_variants(),
            only => only,
        }
    }

    fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick {
            Sizes::quick()
        } else {
            Sizes::full()
        };
        if let Some(seconds) = self.hold_vacuum {
            sizes.sustained = sizes.sustained.max(Duration::from_secs(seconds));
        }
        sizes
    }
}

/// Measures.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    if let Some(limit) = args.as_worker {
        return stopwatch::serve(setup, limit).await;
    }
    if setup.database_url.is_some() {
        return Err(Failure::Usage(
            "--database-url does not go with bench, which starts a database of its own".to_owned(),
        ));
    }
    let output = setup.output();
    let stop = stop::on_signal()?;
    if cfg!(debug_assertions) {
        remark("warning: this build is not optimised; its figures say little (use --release)");
    }
    let settings = settings();
    let counts_calls = !settings.extra.is_empty();
    let mut server = PrivateServer::start(settings).await?;
    let measured = tokio::select! {
        measured = Box::pin(on_server(&args, &mut server, counts_calls, output)) => measured,
        () = stop.cancelled() => Err(Failure::Interrupted),
    };
    let stopped = server.stop().await;
    measured.and(stopped)
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

async fn on_server(
    args: &Args,
    server: &mut PrivateServer,
    counts_calls: bool,
    output: Output,
) -> Result<(), Failure> {
    let mut config = TaskerConfig::default();
    server.configure(&mut config);
    config.database.unlogged_queues = args.unlogged_queues;
    let database = server.migrated(&config).await?;
    if counts_calls {
        usage::count_calls(&database).await?;
    }
    if args.history > 0 {
        history::fill(&database, &server.url(), args.history).await?;
    }
    let baseline = Baseline::prepare(server).await?;
    output.json_line(&environment(args, server, &database).await?)?;
    output.text(format!("measuring on {}", server.describe()))?;
    let workplace = Workplace::new(server.url(), "production")?;
    let measured = measure(args, server, &database, &baseline, &workplace).await;
    database.pool().close().await;
    match measured {
        Ok(figures) => {
            figures.print(output)?;
            figures.check(&args.at_most)
        }
        Err(failure @ Failure::Failed { .. }) => Err(failure.hint(format!(
            "the logs of all processes are in {}",
            workplace.keep().display()
        ))),
        Err(failure) => Err(failure),
    }
}

async fn measure(
    args: &Args,
    server: &mut PrivateServer,
    database: &Database,
    baseline: &Baseline,
    workplace: &Workplace,
) -> Result<Figures, Failure> {
    let postgres = server.postgres().pid().unwrap_or_default();
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
                        Some(history::hold_vacuum(&server.url(), span).await?)
                    }
                    None => None,
                };
                baseline.measure_beside(place, &mut run).await?;
                let syncs = usage::syncs(database).await?;
                let mut stage =
                    Stage::start(workplace, database, postgres, workload.orchestrator()).await?;
                workload
                    .measure(&mut stage, &sizes, place, &mut run)
                    .await?;
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

async fn environment(
    args: &Args,
    server: &mut PrivateServer,
    database: &Database,
) -> Result<Value, Failure> {
    let (fsync, synchronous_commit) = usage::durability(database).await?;
    Ok(json!({
        "name": "environment",
        "version": env!("CARGO_PKG_VERSION"),
        "optimised": !cfg!(debug_assertions),
        "cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "postgresql": server.postgres().binaries().version.to_string(),
        "fsync": fsync,
        "synchronous_commit": synchronous_commit,
        "runs": args.runs,
        "sizes": args.sizes().describe(),
        "history": args.history,
        "hold_vacuum_seconds": args.hold_vacuum,
        "unlogged_queues": args.unlogged_queues,
    }))
}
