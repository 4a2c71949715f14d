//! The loop that keeps this worker registered: what it knows, and how many of its places are taken.

use std::sync::Arc;

use tasker_shared::config::WorkerConfig;
use tasker_shared::database::Database;
use tasker_shared::processes::{Places, Process, Role};
use tasker_shared::registration::Registration;
use tasker_shared::supervisor::Supervised;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::handlers::Handlers;

/// Keeps the worker's row until it has left.
pub(crate) struct WorkerRegistration {
    registration: Registration,
    /// The worker receives no more steps.
    draining: CancellationToken,
    left: CancellationToken,
}

impl WorkerRegistration {
    /// The row of a worker whose running handlers have a permit each.
    pub(crate) fn new(
        database: &Database,
        config: &WorkerConfig,
        handlers: &Handlers,
        permits: Arc<Semaphore>,
        draining: CancellationToken,
        left: CancellationToken,
    ) -> Self {
        let mut names: Vec<String> = handlers.names().map(str::to_owned).collect();
        names.sort_unstable();
        let process = Process {
            identity: config.instance_name().to_owned(),
            role: Role::Worker,
            mode: config.deployment.mode,
            namespaces: config.namespaces.clone(),
            handlers: names,
        };
        let (concurrency, stopped) = (config.concurrency, draining.clone());
        let places = move || {
            Some(Places {
                offered: if stopped.is_cancelled() {
                    0
                } else {
                    concurrency
                },
                taken: concurrency.saturating_sub(permits.available_permits()),
            })
        };
        Self {
            registration: Registration::new(database, process, places),
            draining,
            left,
        }
    }
}

impl Supervised for WorkerRegistration {
    const NAME: &'static str = "worker_registration";

    async fn run(&mut self) {
        self.registration.keep(&self.draining, &self.left).await;
    }
}
