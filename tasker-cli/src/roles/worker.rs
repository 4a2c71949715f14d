//! The role `worker`: receives steps and runs the built-in handlers.

use std::sync::Arc;

use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_web::{ComponentHealth, Probes, serve_probes};
use tasker_worker::{Handlers, Worker};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Runs a worker until `stop`, then lets running steps end within the configured time.
///
/// Its probes are served, where an address is given, until the last step has ended.
pub(crate) async fn run(
    database: Database,
    config: &TaskerConfig,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let worker = Worker::start(&database, config, Handlers::default());
    let stop_probes = CancellationToken::new();
    let probes = listener.map(|listener| {
        let stopping = stop.clone();
        let health = worker.health_check();
        let components = Arc::new(move || {
            let health = health();
            vec![
                ComponentHealth {
                    name: "worker".to_owned(),
                    healthy: !stopping.is_cancelled(),
                    detail: stopping.is_cancelled().then(|| "it drains".to_owned()),
                },
                ComponentHealth {
                    name: "worker_calls".to_owned(),
                    healthy: health.is_healthy(),
                    detail: health.problem(),
                },
            ]
        });
        let probes = Probes::new(database, config, components);
        tokio::spawn(serve_probes(listener, probes, stop_probes.clone()))
    });
    let ran = worker.run_until(stop).await;
    stop_probes.cancel();
    if let Some(probes) = probes
        && let Ok(Err(error)) = probes.await
    {
        return Err(Failure::new(format!(
            "the probes of the worker could not go on listening: {error}"
        )));
    }
    Ok(ran?)
}
