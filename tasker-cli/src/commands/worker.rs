//! `tasker worker`: runs steps with the built-in handlers.

use std::net::SocketAddr;
use std::process;

use serde_json::json;

use crate::commands::reading;
use crate::failure::Failure;
use crate::roles::{start, stop, worker};
use crate::setup::Setup;

const EXAMPLES: &str = "\
It knows the built-in handlers only: builtin.noop, builtin.echo, builtin.sleep, builtin.fail and
builtin.http. Handlers of your own run in a process of your own, with the tasker-worker crate.
SIGTERM or Ctrl-C lets running steps finish and gives the others back; a second one ends at once.

Examples:
  tasker worker
  tasker worker --namespace payments --namespace shipping";

/// Arguments of `tasker worker`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Take steps of this namespace; may be repeated, the first is preferred; all when left out
    #[arg(long = "namespace", value_name = "NS", value_parser = reading::namespace)]
    namespaces: Vec<String>,

    /// Serve /health and /metrics of this worker here; not served when left out
    #[arg(long, value_name = "ADDR:PORT", value_parser = start::address)]
    bind: Option<SocketAddr>,
}

/// Runs the role until it is told to stop.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let mut config = setup.config()?;
    if !args.namespaces.is_empty() {
        config.worker.namespaces = args.namespaces;
    }
    start::process(&config, "worker")?;
    let stop = stop::on_signal()?;
    let listener = args.bind.map(start::listen).transpose()?;
    let Some(database) = start::database(&config, config.worker.deployment.mode, &stop).await?
    else {
        return Ok(());
    };
    let probes = listener
        .as_ref()
        .and_then(|listener| listener.local_addr().ok());
    output.json_line(&json!({
        "worker": config.worker.instance_name(),
        "pid": process::id(),
        "probes": probes.map(|address| format!("http://{address}")),
    }))?;
    let pool = database.pool().clone();
    let ran = worker::run(database, &config, listener, stop).await;
    pool.close().await;
    ran
}
