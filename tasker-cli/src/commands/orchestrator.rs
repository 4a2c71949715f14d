//! `tasker orchestrator`: the engine and the API in one process.

use std::net::SocketAddr;
use std::process;

use serde_json::json;

use crate::failure::Failure;
use crate::roles::{engine, start, stop};
use crate::setup::Setup;

const EXAMPLES: &str = "\
Any number may run on one database. SIGTERM or Ctrl-C stops it cleanly, a second one at once.

Examples:
  tasker orchestrator
  DATABASE_URL=postgres://app@db/app tasker orchestrator --bind 0.0.0.0:8080";

/// Arguments of `tasker orchestrator`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the API; web.bind of the configuration where it is left out
    #[arg(long, value_name = "ADDR:PORT", value_parser = start::address)]
    bind: Option<SocketAddr>,
}

/// Runs the role until it is told to stop.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let mut config = setup.config()?;
    config.web.bind = args.bind.unwrap_or(config.web.bind);
    start::process(&config, "orchestrator")?;
    let stop = stop::on_signal()?;
    let listener = start::listen(config.web.bind)?;
    let Some(database) =
        start::database(&config, config.orchestration.deployment.mode, &stop).await?
    else {
        return Ok(());
    };
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(format!("could not tell the port of the API: {error}")))?;
    output.json_line(&json!({ "api": format!("http://{address}"), "pid": process::id() }))?;
    let pool = database.pool().clone();
    let ran = engine::run(database, &config, listener, stop).await;
    pool.close().await;
    ran
}
