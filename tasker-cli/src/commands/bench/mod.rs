//! `tasker bench`: measures a real system on this machine, and the machine itself beside it.
//!
//! Orchestrator and worker are processes of their own, PostgreSQL is private and flushes every
//! commit. What the machine can do is measured in the same run, and figures are given as ratios to
//! it too, because the noise of a machine is larger than most improvements.

mod baseline;
mod figures;
mod stopwatch;
mod usage;
mod workload;

use private_postgres::{Durability, Settings};
use serde_json::{Value, json};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;

use crate::commands::bench::baseline::Baseline;
use crate::commands::bench::figures::{Figures, Run};
use crate::commands::bench::usage::Processes;
use crate::commands::bench::workload::Client;
use crate::failure::Failure;
use crate::output::{Output, remark};
use crate::roles::children::{Role, Workplace};
use crate::roles::private_server::PrivateServer;
use crate::roles::stop;
use crate::setup::Setup;

/// Connections of the server: the roles' and those of the baseline.
const CONNECTIONS: u32 = 200;

const EXAMPLES: &str = "\
The private PostgreSQL runs with fsync and synchronous_commit on. Build with --release: `make bench`.

Examples:
  tasker bench
  tasker bench --runs 5 --json > figures.jsonl";

/// Arguments of `tasker bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Measure so often and give the medians
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,

    /// Tasks that one client submits and waits for, one after the other
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,

    /// Tasks that are submitted at once
    #[arg(long, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tasks: u32,

    /// Be the worker that is measured; it goes on with so many dependents by itself
    #[arg(long, value_name = "LIMIT", hide = true)]
    as_worker: Option<u32>,
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
    let settings = Settings::ephemeral()
        .durability(Durability::Production)
        .max_connections(CONNECTIONS);
    let mut server = PrivateServer::start(settings).await?;
    let measured = tokio::select! {
        measured = Box::pin(on_server(&args, &mut server, output)) => measured,
        () = stop.cancelled() => Err(Failure::Interrupted),
    };
    let stopped = server.stop().await;
    measured.and(stopped)
}

async fn on_server(args: &Args, server: &mut PrivateServer, output: Output) -> Result<(), Failure> {
    let mut config = TaskerConfig::default();
    server.configure(&mut config);
    let database = server.migrated(&config).await?;
    let baseline = Baseline::prepare(server).await?;
    output.json_line(&environment(args, server, &database).await?)?;
    output.text(format!("measuring on {}", server.describe()))?;
    let workplace = Workplace::new(server.url(), "production")?;
    let measured = on_roles(args, server, &database, &baseline, &workplace).await;
    database.pool().close().await;
    match measured {
        Ok(figures) => figures.print(output),
        Err(failure @ Failure::Failed { .. }) => Err(failure.hint(format!(
            "the logs of all processes are in {}",
            workplace.keep().display()
        ))),
        Err(failure) => Err(failure),
    }
}

async fn on_roles(
    args: &Args,
    server: &mut PrivateServer,
    database: &Database,
    baseline: &Baseline,
    workplace: &Workplace,
) -> Result<Figures, Failure> {
    let arguments = ["orchestrator", "--bind", "127.0.0.1:0"];
    let mut orchestrator = workplace.start("orchestrator", &arguments)?;
    let mut worker = workplace.start("worker", &["bench", "--as-worker", "16"])?;
    let answer = orchestrator.answer().await?;
    worker.answer().await?;
    let api = answer["api"].as_str().unwrap_or_default().to_owned();
    let processes = Processes {
        orchestrator: orchestrator.pid(),
        worker: worker.pid(),
        postgres: server.postgres().pid().unwrap_or_default(),
    };
    let mut roles = [orchestrator, worker];
    let measured = measure(args, &api, database, baseline, processes, &mut roles).await;
    let [orchestrator, worker] = roles;
    let stopped = worker.stop().await.and(orchestrator.stop().await);
    let figures = measured?;
    stopped.map(|()| figures)
}

async fn measure(
    args: &Args,
    api: &str,
    database: &Database,
    baseline: &Baseline,
    processes: Processes,
    roles: &mut [Role],
) -> Result<Figures, Failure> {
    let client = Client::prepare(api).await?;
    let mut figures = Figures::default();
    for number in 1..=args.runs {
        remark(format!("run {number} of {}", args.runs));
        let mut run = Run::default();
        baseline.measure(&mut run).await?;
        client.measure_latency(args.samples, &mut run).await?;
        let before = usage::Usage::look(database, processes).await?;
        let steps = client
            .measure_throughput(args.tasks, database, &mut run)
            .await?;
        let after = usage::Usage::look(database, processes).await?;
        after.since(&before, steps, &mut run);
        for role in &mut *roles {
            role.check()?;
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
        "samples": args.samples,
        "tasks": args.tasks,
    }))
}
