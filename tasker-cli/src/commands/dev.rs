//! `tasker dev`: a whole system in one process, on a private PostgreSQL, for a developer.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use private_postgres::{Durability, Settings, default_dir};
use serde_json::json;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::output::{Output, remark};
use crate::roles::private_server::PrivateServer;
use crate::roles::running_dev::{self, RunningDev};
use crate::roles::{engine, start, stop, worker};
use crate::setup::Setup;

/// Time between two looks whether PostgreSQL still runs.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Needs nothing but PostgreSQL's programs on this machine: the server it starts listens on a unix
socket only. Ctrl-C stops everything; the next start finds the data again.

Examples:
  tasker dev
  tasker dev --bind 127.0.0.1:9090 --data-dir ./pg
  tasker dev --ephemeral";

/// Arguments of `tasker dev`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the API; web.bind of the configuration where it is left out
    #[arg(long, value_name = "ADDR:PORT", value_parser = start::address)]
    bind: Option<SocketAddr>,

    /// Folder of the private PostgreSQL; ~/.local/share/tasker/pg, for root /var/lib/tasker-dev/pg
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keep the data only as long as this runs
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
}

/// Runs the system until it is told to stop.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    if setup.database_url.is_some() {
        return Err(Failure::Usage(
            "--database-url does not go with dev, which starts a database of its own; \
             for yours, run `tasker orchestrator` and `tasker worker`"
                .to_owned(),
        ));
    }
    let output = setup.output();
    let mut config = setup.config()?;
    config.web.bind = args.bind.unwrap_or(config.web.bind);
    start::process(&config, "dev")?;
    let stop = stop::on_signal()?;
    let data_dir = args.data_dir.unwrap_or_else(default_dir);
    if !args.ephemeral
        && let Some(other) = running_dev::in_folder(&data_dir)
    {
        return Err(runs_already(&other));
    }
    let listener = start::listen(config.web.bind).map_err(|failure| taken(failure, &config))?;
    if env::var_os("DATABASE_URL").is_some() {
        remark("DATABASE_URL is set but not used: dev runs on its private PostgreSQL");
    }
    let settings = if args.ephemeral {
        Settings::ephemeral().durability(Durability::Disposable)
    } else {
        Settings::persistent(&data_dir)
    };
    remark(if args.ephemeral {
        "making a PostgreSQL for this run and starting it …".to_owned()
    } else if data_dir.join("data").exists() {
        format!("starting PostgreSQL in {} …", data_dir.display())
    } else {
        format!(
            "making a PostgreSQL in {} and starting it …",
            data_dir.display()
        )
    });
    let mut server = PrivateServer::start(settings).await?;
    server.configure(&mut config);
    let ran = Box::pin(serve(
        &mut server,
        &config,
        listener,
        args.ephemeral,
        output,
        stop,
    ))
    .await;
    let stopped = server.stop().await;
    ran.and(stopped)
}

async fn serve(
    server: &mut PrivateServer,
    config: &TaskerConfig,
    listener: TcpListener,
    ephemeral: bool,
    output: Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    remark("bringing its schema up to date …");
    let database = server.migrated(config).await?;
    let pool = database.pool().clone();
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(format!("could not tell the port of the API: {error}")))?;
    let roles = Roles::start(database, config, listener);
    let registered = running_dev::register(&RunningDev {
        pid: process::id(),
        database_url: server.url(),
        api: format!("http://{address}"),
        data_dir: server.folder(),
    });
    if let Err(error) = &registered {
        remark(format!(
            "other commands need DATABASE_URL to find this one: {error}"
        ));
    }
    announce(server, address, ephemeral, registered.is_ok(), output)?;
    let ended = roles.until(server, &stop).await;
    pool.close().await;
    ended
}

/// What a second start in the same folder prints.
fn runs_already(other: &RunningDev) -> Failure {
    Failure::new(format!(
        "`tasker dev` runs already, as process {} in {}\n  API       {api}\n  docs      {api}/docs\n  \
         database  {}",
        other.pid,
        other.data_dir.display(),
        other.database_url,
        api = other.api,
    ))
    .hint("use that one; --data-dir with --bind, or --ephemeral with --bind, starts another")
}

/// The failure to listen, where another `tasker dev` has the address.
fn taken(failure: Failure, config: &TaskerConfig) -> Failure {
    let api = format!("http://{}", config.web.bind);
    match running_dev::all().into_iter().find(|dev| dev.api == api) {
        Some(other) => failure.instead_hint(format!(
            "it is the `tasker dev` of process {} in {}; choose another address with --bind",
            other.pid,
            other.data_dir.display()
        )),
        None => failure,
    }
}

/// The roles of this process, each with its own token so that they stop in order.
struct Roles {
    engine: JoinHandle<Result<(), Failure>>,
    worker: JoinHandle<Result<(), Failure>>,
    stop_engine: CancellationToken,
    stop_worker: CancellationToken,
}

impl Roles {
    fn start(database: Database, config: &TaskerConfig, listener: TcpListener) -> Self {
        let (stop_engine, stop_worker) = (CancellationToken::new(), CancellationToken::new());
        let engine = tokio::spawn({
            let (database, config, stop) = (database.clone(), config.clone(), stop_engine.clone());
            async move { engine::run(database, &config, listener, stop).await }
        });
        let worker = tokio::spawn({
            let (config, stop) = (config.clone(), stop_worker.clone());
            async move { worker::run(database, &config, None, stop).await }
        });
        Self {
            engine,
            worker,
            stop_engine,
            stop_worker,
        }
    }

    /// Waits for the order to stop, or for a part that fails; then stops the worker, which reports
    /// what it finishes, and the engine after it.
    async fn until(
        mut self,
        server: &mut PrivateServer,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let reason = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = &mut self.engine => return Err(unexpected("the engine", ended)),
            ended = &mut self.worker => return Err(unexpected("the worker", ended)),
            failure = postgres_ended(server) => Err(failure),
        };
        if let Err(Failure::Failed { what, .. }) = &reason {
            remark(format!(
                "{what}: stopping, which takes longer where outcomes wait for it"
            ));
        }
        self.stop_worker.cancel();
        let worker = self.worker.await;
        self.stop_engine.cancel();
        let engine = self.engine.await;
        reason?;
        for ended in [worker, engine] {
            ended.map_err(|error| Failure::new(format!("a role broke off: {error}")))??;
        }
        Ok(())
    }
}

fn unexpected(role: &str, ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Failure {
    match ended {
        Ok(Ok(())) => Failure::new(format!("{role} ended by itself")),
        Ok(Err(failure)) => failure.while_doing(role),
        Err(error) => Failure::new(format!("{role} broke off: {error}")),
    }
}

/// Returns when PostgreSQL has ended by itself.
async fn postgres_ended(server: &mut PrivateServer) -> Failure {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let postgres = server.postgres();
        if let Ok(Some(status)) = postgres.exited() {
            return Failure::new(format!("PostgreSQL ended by itself ({status})")).hint(format!(
                "its log {} has the reason",
                postgres.log_file().display()
            ));
        }
        if postgres.binaries_were_replaced() {
            return Failure::new("an upgrade replaced the programs of the running PostgreSQL")
                .hint("start `tasker dev` again; the data is kept");
        }
    }
}

fn announce(
    server: &PrivateServer,
    address: SocketAddr,
    ephemeral: bool,
    is_found: bool,
    output: Output,
) -> Result<(), Failure> {
    let url = server.url();
    output.json_line(&json!({
        "api": format!("http://{address}"),
        "ui": format!("http://{address}/ui"),
        "docs": format!("http://{address}/docs"),
        "openapi": format!("http://{address}/openapi.json"),
        "metrics": format!("http://{address}/metrics"),
        "database_url": url,
        "data": server.describe(),
    }))?;
    let fate = if ephemeral {
        "the data goes with it"
    } else {
        "the next start finds the data again"
    };
    // Commands of this account find it by themselves.
    let export = if is_found {
        String::new()
    } else {
        format!("  export DATABASE_URL='{url}'\n")
    };
    output.text(format!(
        "\
tasker dev is running on {server}

  web UI    http://{address}/ui
  API       http://{address}
  docs      http://{address}/docs
  OpenAPI   http://{address}/openapi.json
  metrics   http://{address}/metrics
  database  {url}

In another terminal:

{export}  echo '{FIRST_TEMPLATE}' |
    tasker template apply -
  tasker task submit hello/world --context '{{\"name\": \"you\"}}' --wait

Ctrl-C stops it; {fate}.",
        server = server.describe(),
    ))
}

/// A workflow that fits on a line and needs no handler of one's own.
const FIRST_TEMPLATE: &str = "{namespace: hello, name: world, version: 1.0.0, \
     steps: [{name: greet, handler: builtin.echo}]}";

#[cfg(test)]
mod tests {
    use tasker_shared::template::Template;

    use super::*;

    #[test]
    fn the_first_template_is_valid() {
        assert!(Template::parse_yaml(FIRST_TEMPLATE).is_ok());
    }
}
