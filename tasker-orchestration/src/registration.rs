//! The loop that keeps this orchestrator registered.

use tasker_shared::config::OrchestrationConfig;
use tasker_shared::database::Database;
use tasker_shared::processes::{Process, Role};
use tasker_shared::registration::Registration;
use tasker_shared::supervisor::Supervised;
use tokio_util::sync::CancellationToken;

/// Keeps the orchestrator's row until it stops, and removes it then.
pub(crate) struct OrchestratorRegistration {
    registration: Registration,
    stop: CancellationToken,
}

impl OrchestratorRegistration {
    pub(crate) fn new(
        database: &Database,
        config: &OrchestrationConfig,
        stop: CancellationToken,
    ) -> Self {
        let process = Process {
            identity: config.instance_name().to_owned(),
            role: Role::Orchestrator,
            mode: config.deployment.mode,
            namespaces: config.namespaces.clone(),
            handlers: Vec::new(),
        };
        Self {
            registration: Registration::new(database, process, || None),
            stop,
        }
    }
}

impl Supervised for OrchestratorRegistration {
    const NAME: &'static str = "registration";

    async fn run(&mut self) {
        self.registration.keep(&self.stop, &self.stop).await;
    }
}
