//! What a process that runs until it is stopped does first: logs and metrics, signals, a database with
//! the right schema.
//!
//! The `tasker` binary and the programs that run workers of their own start in the same way.

use std::io;
use std::process;
use std::time::Duration;

use pgmq_notify::listener::can_listen;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::backoff::Backoff;
use crate::config::{DeploymentMode, TaskerConfig};
use crate::database::Database;
use crate::error::Error;
use crate::schema::{SchemaState, schema_state};
use crate::telemetry::{LoggingError, MetricsError, init_logging, init_metrics, record_waits};
use crate::{announcements, channel};

/// First pause between two attempts to reach the database; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Exit status of a process that was told to end at once, as shells report Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Why a process could not start. [`Self::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Logs could not be set up.
    #[error("could not set up logs: {0}")]
    Logs(#[source] LoggingError),
    /// Metrics could not be set up.
    #[error("could not set up metrics: {0}")]
    Metrics(#[from] MetricsError),
    /// Signals could not be waited for.
    #[error("could not wait for signals: {0}")]
    Signals(#[source] io::Error),
    /// The database did not answer in time.
    #[error("gave up after {waited:?}: {error}")]
    GaveUp {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt came to.
        error: Error,
    },
    /// The address of the database is wrong, or the database refuses what is asked.
    #[error(transparent)]
    Database(#[from] Error),
    /// This build cannot run on the schema of the database.
    #[error("{0}")]
    Schema(SchemaState),
    /// The database announces where nobody would listen.
    #[error(
        "database.channel_prefix is {prefix}, but the triggers of the database announce on {announced}"
    )]
    Channels {
        /// What the configuration says.
        prefix: String,
        /// The channel that the triggers use.
        announced: String,
    },
    /// The deployment mode listens where LISTEN does not work.
    #[error(
        "LISTEN does not work where database.listen_url, or database.url, leads: there is a pooler in \
         transaction mode"
    )]
    Listen,
}

impl StartError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Schema(state) => Some(state.hint()),
            Self::Channels { prefix, .. } => Some(format!(
                "make the two agree, as with `alter database … set tasker.channel_prefix = '{prefix}'`"
            )),
            Self::Listen => Some(
                "set database.listen_url to an address that leads past the pooler, or \
                 DEPLOYMENT_MODE=PollingOnly, which needs no LISTEN"
                    .to_owned(),
            ),
            Self::GaveUp { .. } | Self::Database(_) => Some(
                "the address comes from DATABASE_URL, or database.url in the configuration"
                    .to_owned(),
            ),
            Self::Logs(_) | Self::Metrics(_) | Self::Signals(_) => None,
        }
    }
}

/// Sets up what the whole process has once. To be called within its runtime.
///
/// Logs of a program that has set them up already go on as they are.
pub fn set_up(config: &TaskerConfig, role: &str) -> Result<(), StartError> {
    let policy = &config.mpsc_channels.overflow_policy;
    channel::configure(policy);
    match init_logging(&config.telemetry, role) {
        Ok(()) | Err(LoggingError::Twice(_)) => {}
        Err(error) => return Err(StartError::Logs(error)),
    }
    init_metrics(&config.telemetry, role, &policy.metrics)?;
    tokio::spawn(channel::sampler::run(policy.metrics.clone()));
    tokio::spawn(record_waits(policy.metrics.clone()));
    Ok(())
}

/// A token that is cancelled by the first SIGTERM or SIGINT (Ctrl-C), after `asked` was called. The
/// second signal ends the process at once.
///
/// Children die with the process, so that an abrupt end leaves nothing behind either.
pub fn stop_on_signal(asked: fn()) -> Result<CancellationToken, StartError> {
    let listen = |kind| signal(kind).map_err(StartError::Signals);
    let terminate = listen(SignalKind::terminate())?;
    let interrupt = listen(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    tokio::spawn(wait(terminate, interrupt, asked, stop.clone()));
    Ok(stop)
}

async fn wait(mut terminate: Signal, mut interrupt: Signal, asked: fn(), stop: CancellationToken) {
    for time in 1.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if time > 1 {
            process::exit(INTERRUPTED);
        }
        asked();
        stop.cancel();
    }
}

/// The database, which may come up some time after this process, with the schema of this build.
///
/// While it does not answer, that is logged and tried again, for at most `longest`. Gives `None` when
/// the process is told to stop before it answers.
///
/// # Errors
/// At once where trying again cannot help: the address is wrong, the schema is another, or the
/// deployment mode listens and nothing could be heard.
pub async fn database(
    config: &TaskerConfig,
    mode: DeploymentMode,
    longest: Duration,
    stop: &CancellationToken,
) -> Result<Option<Database>, StartError> {
    let started = Instant::now();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            answer = open(config, mode) => answer,
        };
        let error = match answer {
            Ok(database) => return Ok(Some(database)),
            Err(StartError::Database(error)) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        let pause = backoff.pause();
        if started.elapsed().saturating_add(pause) >= longest {
            return Err(StartError::GaveUp {
                waited: longest,
                error,
            });
        }
        warn!(%error, "waiting for the database");
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

async fn open(config: &TaskerConfig, mode: DeploymentMode) -> Result<Database, StartError> {
    let database = Database::connect(&config.database).await?;
    let state = schema_state(&database).await?;
    if !state.is_usable() {
        return Err(StartError::Schema(state));
    }
    if mode.listens() {
        check_listening(&database, config).await?;
    }
    Ok(database)
}

/// Sees that what is announced can be heard: on the channels that are used, and at all.
///
/// A listening address that does not answer at the moment is left to the listener, which tries again.
async fn check_listening(database: &Database, config: &TaskerConfig) -> Result<(), StartError> {
    let announced = database
        .call("task_ready_channel", announcements::task_ready_channel)
        .await?;
    if announced != database.channels().task_ready {
        return Err(StartError::Channels {
            prefix: config.database.channel_prefix.clone(),
            announced,
        });
    }
    let options = database.listen_options();
    match can_listen(options, config.database.acquire_timeout).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(StartError::Listen),
        Err(error) => {
            warn!(%error, "the address for LISTEN does not answer yet");
            Ok(())
        }
    }
}
