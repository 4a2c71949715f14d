//! The loop that keeps this orchestrator registered.

use tasker_shared::config::OrchestrationConfig;
use tasker_shared::database::Database;
use tasker_shared::processes::{Process, Role};
use tasker_shared::registration::Registration;
use tokio_util::sync::CancellationToken;

/// Keeps the orchestrator's row until `stop`, and removes it then.
pub(crate) async fn run(database: Database, config: OrchestrationConfig, stop: CancellationToken) {
    let process = Process {
        identity: config.instance_name().to_owned(),
        role: Role::Orchestrator,
        mode: config.deployment.mode,
        namespaces: config.namespaces,
        handlers: Vec::new(),
    };
    let mut registration = Registration::new(&database, process, || None);
    registration.keep(&stop, &stop).await;
}
