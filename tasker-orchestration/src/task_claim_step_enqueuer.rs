//! Claims ready steps and puts them in the queues of their namespaces, on a connection of its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::readiness::{ClaimedTask, claim_ready_tasks};
use tasker_shared::telemetry::metrics;
use tracing::debug;

/// Claims for one orchestrator.
#[derive(Debug)]
pub(crate) struct TaskClaimStepEnqueuer {
    connection: DedicatedConnection,
    processor: String,
    batch_size: i32,
}

/// Whether a claim took all it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The batch was full: more may be ready.
    Full,
    /// Nothing is left that nobody else is claiming.
    All,
}

impl TaskClaimStepEnqueuer {
    /// Claims as `processor`, up to `batch_size` steps a call.
    pub(crate) fn new(database: &Database, processor: &str, batch_size: i32) -> Self {
        Self {
            connection: database.dedicated(),
            processor: processor.to_owned(),
            batch_size,
        }
    }

    /// Claims one batch, the most urgent steps first. Their messages and the wake-ups of their
    /// workers commit with the claim.
    pub(crate) async fn claim(&mut self) -> Result<Claimed, Error> {
        let started = Instant::now();
        let tasks = self
            .connection
            .call("claim_ready_tasks", async |connection| {
                claim_ready_tasks(connection, &self.processor, self.batch_size).await
            })
            .await?;
        let steps = record(&tasks, started.elapsed());
        debug!(tasks = tasks.len(), steps, "claimed");
        Ok(if steps < u64::from(self.batch_size.unsigned_abs()) {
            Claimed::All
        } else {
            Claimed::Full
        })
    }
}

/// Feeds the metrics of claims; returns how many steps were claimed.
fn record(tasks: &[ClaimedTask], duration: Duration) -> u64 {
    let mut by_namespace = BTreeMap::<&str, u64>::new();
    for task in tasks {
        let steps = u64::try_from(task.ready_steps).unwrap_or(0);
        *by_namespace.entry(&task.namespace).or_default() += steps;
        let waited = Duration::try_from_secs_f64(task.ready_for_ms / 1000.0);
        // A negative time means that a clock was set back; it says nothing.
        metrics().ready_to_claimed(waited.unwrap_or_default());
    }
    for (namespace, steps) in &by_namespace {
        metrics().steps_claimed(namespace, *steps);
    }
    let steps = by_namespace.values().sum();
    metrics().claimed(steps, duration);
    steps
}
