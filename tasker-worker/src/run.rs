//! A worker as the whole work of a process: from the configuration to the end of the last step.

use std::fmt;
use std::time::Duration;

use tasker_shared::config::{ConfigError, TaskerConfig};
use tasker_shared::process::{self, StartError};
use tasker_shared::telemetry::end_metrics;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::COMPONENT;
use crate::handlers::Handlers;
use crate::worker::{RunningWorker, Worker};

/// How long the connections of the pool may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a worker did not run, or did not end well.
///
/// Its `Debug` form is the text for people, because that is what Rust prints of an error that `main`
/// returns.
#[derive(thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error("the configuration is not usable: {0}")]
    Config(#[from] ConfigError),
    /// The worker could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The worker stopped before every outcome was recorded, because the database was away.
    #[error(
        "not every outcome was recorded before the worker stopped; those steps are tried again when \
         their leases end"
    )]
    Unrecorded,
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match self {
            Self::Start(error) => match error.hint() {
                Some(hint) => write!(f, "\n hint: {hint}"),
                None => Ok(()),
            },
            Self::Config(_) | Self::Unrecorded => Ok(()),
        }
    }
}

impl Worker {
    /// Runs a worker until the process is told to stop: all that the `main` of a worker needs.
    ///
    /// ```no_run
    /// use tasker_worker::{HandlerError, Handlers, RunError, Step, Worker};
    ///
    /// async fn charge(step: Step) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), RunError> {
    ///     let handlers = Handlers::new().register("payments.charge", charge);
    ///     Worker::run(handlers).await
    /// }
    /// ```
    ///
    /// It loads the configuration as the `tasker` binary does (`$TASKER_CONFIG_DIR` or
    /// `./config/tasker`, environment variables such as `DATABASE_URL`), sends logs to standard error
    /// unless the program has set up logs of its own, and connects to the database. One that does not
    /// answer is tried again until it does.
    ///
    /// SIGTERM and SIGINT (Ctrl-C) stop it: it receives no more, gives running handlers
    /// `worker.drain_timeout_seconds` to end, and records their outcomes. A second signal ends the
    /// process at once.
    ///
    /// # Errors
    /// A configuration that cannot be used, an address that is none, a database without the schema of
    /// this version, and a stop at which outcomes could not be recorded.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn run(handlers: Handlers) -> Result<(), RunError> {
        Self::run_with(&TaskerConfig::load()?, handlers).await
    }

    /// Runs a worker as [`Self::run`] does, with a configuration that the program has made or changed.
    pub async fn run_with(config: &TaskerConfig, handlers: Handlers) -> Result<(), RunError> {
        process::set_up(config, COMPONENT)?;
        let stop =
            process::stop_on_signal(|| info!("stopping; the same signal again stops at once"))?;
        Self::run_set_up(config, handlers, stop).await
    }

    /// Runs a worker as [`Self::run_with`] does until `stop`, for programs that see to signals
    /// themselves.
    pub async fn run_until(
        config: &TaskerConfig,
        handlers: Handlers,
        stop: CancellationToken,
    ) -> Result<(), RunError> {
        process::set_up(config, COMPONENT)?;
        Self::run_set_up(config, handlers, stop).await
    }

    async fn run_set_up(
        config: &TaskerConfig,
        handlers: Handlers,
        stop: CancellationToken,
    ) -> Result<(), RunError> {
        let mode = config.worker.deployment.mode;
        let Some(database) = process::database(config, mode, Duration::MAX, &stop).await? else {
            return Ok(());
        };
        let worker = Self::start(&database, config, handlers);
        let ran = worker.run_until(stop).await;
        let _ = timeout(CLOSE_TIMEOUT, database.pool().close()).await;
        // A metrics pipeline that cannot end loses the last figures, nothing else.
        let _ = spawn_blocking(end_metrics).await;
        ran
    }
}

impl RunningWorker {
    /// Runs until `stop`, then lets running steps end within the configured time.
    ///
    /// # Errors
    /// Not every outcome could be recorded.
    pub async fn run_until(self, stop: CancellationToken) -> Result<(), RunError> {
        stop.cancelled().await;
        if self.drain().await.is_complete {
            return Ok(());
        }
        warn!("not every outcome was recorded");
        Err(RunError::Unrecorded)
    }
}
