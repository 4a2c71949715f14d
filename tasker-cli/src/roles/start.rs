//! What every role does before it works: logs, a port, a database with the right schema.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pgmq_notify::listener::can_listen;
use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::database::{Database, schema_is_current};
use tasker_shared::error::Error;
use tasker_shared::telemetry::{init_logging, init_metrics, record_waits};
use tasker_shared::{announcer, channel};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::failure::Failure;

/// How long a role waits for a database that does not answer at start, as happens when a whole
/// system is started at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// First pause between two attempts to reach the database; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Sets up what the whole process has once. To be called within its runtime.
pub(crate) fn process(config: &TaskerConfig, role: &str) -> Result<(), Failure> {
    let policy = &config.mpsc_channels.overflow_policy;
    channel::configure(policy);
    init_logging(&config.telemetry, role)
        .map_err(|error| Failure::new(format!("could not set up logs: {error}")))?;
    init_metrics(&config.telemetry, role, &policy.metrics)
        .map_err(|error| Failure::new(format!("could not set up metrics: {error}")))?;
    tokio::spawn(channel::sampler::run(policy.metrics.clone()));
    tokio::spawn(record_waits(policy.metrics.clone()));
    Ok(())
}

/// Takes the address for the API, before anything else is started.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    bound.map_err(|error| {
        let other = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8081));
        let (what, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                format!("the address {address} is in use: another program listens there"),
                format!(
                    "stop that program (`ss -ltnp 'sport = :{}'` names it), or choose another \
                     address: --bind {other}",
                    address.port()
                ),
            ),
            io::ErrorKind::PermissionDenied => (
                format!("the address {address} may not be used by this account"),
                "choose a port above 1023, as in --bind 127.0.0.1:8080".to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => (
                format!("this machine has no address {}", address.ip()),
                format!("try --bind 127.0.0.1:{}", address.port()),
            ),
            _ => (
                format!("could not listen on {address}: {error}"),
                "choose another address with --bind".to_owned(),
            ),
        };
        Failure::new(what).hint(hint)
    })
}

/// The database, which may come up some time after this process, with the schema of this build.
///
/// Fails where the deployment mode listens and nothing could be heard.
///
/// Gives `None` when the process is told to stop before that.
pub(crate) async fn database(
    config: &TaskerConfig,
    mode: DeploymentMode,
    stop: &CancellationToken,
) -> Result<Option<Database>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    let database = loop {
        let error = match Database::connect(&config.database).await {
            Ok(database) => break database,
            Err(error @ Error::Unavailable { .. }) if Instant::now() + pause < deadline => error,
            Err(error @ Error::Unavailable { .. }) => {
                return Err(
                    Failure::from(error).while_doing(&format!("gave up after {PATIENCE:?}"))
                );
            }
            Err(error) => return Err(error.into()),
        };
        warn!(%error, "waiting for the database");
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return Ok(None),
        }
    };
    if !schema_is_current(&database).await? {
        return Err(
            Failure::new("the database has not the schema of this version of tasker")
                .hint("run `tasker migrate` first; it is safe while other processes run"),
        );
    }
    if mode.listens() {
        check_listening(&database, config).await?;
    }
    Ok(Some(database))
}

/// Sees that what is announced can be heard: on the channels that are used, and at all.
///
/// A listening address that does not answer at the moment is left to the listener, which tries again.
async fn check_listening(database: &Database, config: &TaskerConfig) -> Result<(), Failure> {
    let announced = database
        .call("task_ready_channel", announcer::task_ready_channel)
        .await?;
    let prefix = &config.database.channel_prefix;
    if announced != database.channels().task_ready {
        return Err(Failure::new(format!(
            "database.channel_prefix is {prefix}, but the triggers of the database announce on \
             {announced}"
        ))
        .hint(format!(
            "make the two agree, as with `alter database … set tasker.channel_prefix = '{prefix}'`"
        )));
    }
    let options = database.listen_options();
    match can_listen(options, config.database.acquire_timeout()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(
            "LISTEN does not work where database.listen_url, or database.url, leads: there is a \
             pooler in transaction mode",
        )
        .hint(
            "set database.listen_url to an address that leads past the pooler, or \
             DEPLOYMENT_MODE=PollingOnly, which needs no LISTEN",
        )),
        Err(error) => {
            warn!(%error, "the address for LISTEN does not answer yet");
            Ok(())
        }
    }
}
