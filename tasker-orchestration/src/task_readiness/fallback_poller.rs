//! Looks for ready tasks that no notification announced, and has them processed the same way.
//!
//! Where notifications arrive it looks only at what they should have announced long ago; where the
//! process does not listen it is the only one that discovers, and takes tasks of any age.

use std::time::Duration;

use tasker_shared::channel::Sender;
use tasker_shared::config::{DeploymentMode, OrchestrationConfig};
use tasker_shared::error::Error;
use tasker_shared::readiness::{ReadyTask, find_ready_tasks_of};
use tasker_shared::telemetry::metrics;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::backoff::{Outage, jittered};
use crate::commands::OrchestrationCommand;
use crate::engine::Engine;

/// How the poller looks.
#[derive(Debug, Clone)]
pub(crate) struct ReadinessFallbackPoller {
    interval: Duration,
    age_threshold: Duration,
    batch_size: i32,
    namespaces: Vec<String>,
}

impl ReadinessFallbackPoller {
    pub(crate) fn new(config: &OrchestrationConfig) -> Self {
        let readiness = &config.task_readiness;
        let age_threshold = match config.deployment.mode {
            DeploymentMode::PollingOnly => Duration::ZERO,
            DeploymentMode::Hybrid | DeploymentMode::EventDrivenOnly => readiness.age_threshold(),
        };
        Self {
            interval: readiness.fallback_polling_interval(),
            age_threshold,
            batch_size: readiness.batch_size,
            namespaces: config.namespaces.clone(),
        }
    }

    /// Polls until `stop`.
    pub(crate) async fn run(
        self,
        engine: &Engine,
        commands: &Sender<OrchestrationCommand>,
        stop: CancellationToken,
    ) {
        let mut outage = Outage::new(
            "poll for ready tasks",
            engine.backoff,
            engine.vitals.outage_of("fallback_poller"),
        );
        let (mut pause, mut reason) = (jittered(self.interval), "interval");
        loop {
            tokio::select! {
                () = sleep(pause) => metrics().woke("fallback_poller", reason),
                () = stop.cancelled() => return,
            }
            (pause, reason) = match self.look(engine).await {
                Ok(tasks) => {
                    outage.over();
                    if announce(tasks, commands).await.is_err() {
                        return;
                    }
                    (jittered(self.interval), "interval")
                }
                Err(error) => (outage.failed(&error), "retry"),
            };
        }
    }

    /// One look suffices however much is ready: one command makes the processor claim all of it.
    async fn look(&self, engine: &Engine) -> Result<Vec<ReadyTask>, Error> {
        let found = engine
            .database
            .call("find_ready_tasks", async |connection| {
                let (age, limit) = (self.age_threshold, self.batch_size);
                find_ready_tasks_of(connection, age, limit, &self.namespaces).await
            })
            .await?;
        engine.vitals.database_answered();
        metrics().fallback_polled(found.len() as u64);
        Ok(found)
    }
}

/// The command processor is gone.
struct Gone;

async fn announce(
    tasks: Vec<ReadyTask>,
    commands: &Sender<OrchestrationCommand>,
) -> Result<(), Gone> {
    for task in tasks {
        debug!(task_uuid = %task.task_uuid, ready_for_ms = task.ready_for_ms, "found by polling");
        let command = OrchestrationCommand::for_polled(task);
        commands.send(command).await.map_err(|_| Gone)?;
    }
    Ok(())
}
