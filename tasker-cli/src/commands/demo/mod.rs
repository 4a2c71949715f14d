//! `tasker demo`: everything at work in a few seconds, in processes of its own, and nothing left
//! behind.

mod orders;
mod progress;
mod summary;

use std::time::Duration;

use private_postgres::{Durability, Settings};
use serde_json::json;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::doctor::{CHECKS, examine};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commands::demo::orders::Order;
use crate::drawing::Style;
use crate::failure::Failure;
use crate::format::{count, duration};
use crate::output::Output;
use crate::roles::children::{Role, Workplace};
use crate::roles::private_server::PrivateServer;
use crate::roles::stop;
use crate::setup::Setup;

/// How long the orders may take; a machine that needs more has another problem.
const DEMO_TIMEOUT: Duration = Duration::from_mins(2);

const EXAMPLES: &str = "\
Starts a private PostgreSQL in a temporary folder, an orchestrator with the API and a worker,
submits orders, and draws how they go: one payment fails twice and is retried, one parcel is lost
permanently. In a pipe it prints a line for each change instead. Nothing is left behind.";

/// Arguments of `tasker demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
}

/// Runs the demonstration.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    if setup.database_url.is_some() {
        return Err(Failure::Usage(
            "--database-url does not go with demo, which starts a database of its own".to_owned(),
        ));
    }
    let output = setup.output();
    let style = output.style(args.ascii);
    let stop = stop::on_signal()?;
    let started = Instant::now();
    output.text("starting a private PostgreSQL")?;
    let settings = Settings::ephemeral().durability(Durability::Disposable);
    let server = PrivateServer::start(settings).await?;
    let ran = Box::pin(on_server(&server, output, style, started, &stop)).await;
    let stopped = server.stop().await;
    ran.and(stopped)
}

async fn on_server(
    server: &PrivateServer,
    output: Output,
    style: Style,
    started: Instant,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut config = TaskerConfig::default();
    server.configure(&mut config);
    let database = server.migrated(&config).await?;
    let workplace = Workplace::new(server.url())?;
    let ran = on_roles(&database, &workplace, output, style, started, stop).await;
    database.pool().close().await;
    ran.map_err(|failure| match failure {
        Failure::Failed { .. } => failure.hint(format!(
            "the logs of all processes are in {}",
            workplace.keep().display()
        )),
        other => other,
    })
}

async fn on_roles(
    database: &Database,
    workplace: &Workplace,
    output: Output,
    style: Style,
    started: Instant,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let arguments = ["orchestrator", "--bind", "127.0.0.1:0"];
    let mut orchestrator = workplace.start("orchestrator", &arguments)?;
    let mut worker = workplace.start("worker", &["worker"])?;
    let answer = orchestrator.answer().await?;
    let api = answer["api"].as_str().unwrap_or_default();
    worker.answer().await?;
    output.text(format!(
        "orchestrator with API and web UI on {api} (process {}), worker (process {}) run after {}\n",
        orchestrator.pid(),
        worker.pid(),
        duration(started.elapsed())
    ))?;
    let mut roles = [orchestrator, worker];
    let mut ran = orders(database, &mut roles, output, style, started, stop).await;
    if ran.is_ok() && output.is_live() {
        output.text(format!(
            "\nSee it in a browser: {api}/ui\nCtrl-C ends the demo, and its data goes with it."
        ))?;
        ran = stay(&mut roles, stop).await;
    }
    let [orchestrator, worker] = roles;
    let stopped = worker.stop().await.and(orchestrator.stop().await);
    ran.and(stopped)
}

/// Keeps the roles running until the viewer has seen enough. Nothing tells when a child process ends, so
/// it is looked at from time to time, as while the orders run.
async fn stay(roles: &mut [Role], stop: &CancellationToken) -> Result<(), Failure> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(progress::POLL_INTERVAL) => {}
            () = stop.cancelled() => return Ok(()),
        }
        for role in &mut *roles {
            role.check()?;
        }
    }
}

async fn orders(
    database: &Database,
    roles: &mut [Role],
    output: Output,
    style: Style,
    started: Instant,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let orders = orders::submit(database).await?;
    let deadline = Instant::now() + DEMO_TIMEOUT;
    let mut progress = progress::Progress::new(output, style);
    let orders: Vec<Order> = loop {
        let seen = orders::load(database, &orders).await?;
        progress.show(database, &seen).await?;
        if seen.iter().all(Order::has_ended) {
            break seen;
        }
        for role in &mut *roles {
            role.check()?;
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the orders did not end within {DEMO_TIMEOUT:?}"
            )));
        }
        tokio::select! {
            () = tokio::time::sleep(progress::POLL_INTERVAL) => {}
            () = stop.cancelled() => return Err(Failure::Interrupted),
        }
    };
    let findings = database
        .call("doctor", async |connection| examine(connection).await)
        .await?;
    output.document(&json!({
        "seconds": started.elapsed().as_secs_f64(),
        "tasks": orders.iter().map(|order| &order.task).collect::<Vec<_>>(),
        "findings": findings,
    }))?;
    output.text(summary::text(&orders, style))?;
    if !findings.is_empty() {
        return Err(Failure::new(format!(
            "the doctor found what must not be: {}",
            json!(findings)
        )));
    }
    output.text(format!(
        "doctor: {} hold. All of it took {}.\nNext: `tasker dev` keeps such a system running.",
        count(CHECKS.len(), "invariant"),
        duration(started.elapsed())
    ))?;
    orders::judge(&orders)
}
