//! Claims ready steps and puts them in the queues of their namespaces, on a connection of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tasker_shared::database::DedicatedConnection;
use tasker_shared::dead_rows::DeadRows;
use tasker_shared::error::Error;
use tasker_shared::queues::QueueTroubles;
use tasker_shared::readiness::{ClaimedTask, claim_ready_tasks_of};
use tasker_shared::statistics::{Lasted, SampledStatisticsCollector, TimedEvent};
use tasker_shared::telemetry::metrics;
use tracing::debug;

use crate::engine::{Engine, FROZEN_AFTER};
use crate::pg_notify_monitor::PgNotifyMonitor;

/// How long a claim waits for a locked queue, before it goes on with the others.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// Claims for one orchestrator.
#[derive(Debug)]
pub(crate) struct TaskClaimStepEnqueuer {
    connection: DedicatedConnection,
    /// For what may take long.
    maintenance: DedicatedConnection,
    processor: String,
    claims: Claiming,
    dead_rows: DeadRows,
    sent_beside: Arc<AtomicU64>,
    troubles: QueueTroubles,
    statistics: Arc<SampledStatisticsCollector>,
}

/// What is claimed.
#[derive(Debug, Clone)]
pub(crate) struct Claiming {
    /// Most steps of one call.
    pub(crate) batch_size: i32,
    /// Namespaces they are claimed in; all, where none is named.
    pub(crate) namespaces: Vec<String>,
}

/// Whether a claim took all it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The batch was full: more may be ready.
    Full,
    /// Nothing is left that nobody else is claiming.
    All,
    /// Something is left that could not be claimed for the moment: another transaction holds it, or
    /// its queue is in trouble.
    NotAll,
}

impl TaskClaimStepEnqueuer {
    /// Claims as `processor`.
    pub(crate) fn new(engine: &Engine, processor: &str, claims: Claiming) -> Self {
        let database = &engine.database;
        Self {
            connection: database
                .dedicated()
                .within(FROZEN_AFTER)
                .waiting_for_locks(LOCK_TIMEOUT),
            maintenance: database.dedicated(),
            processor: processor.to_owned(),
            claims,
            dead_rows: DeadRows::new(),
            sent_beside: Arc::clone(&engine.sent_beside),
            troubles: QueueTroubles::default(),
            statistics: Arc::clone(&engine.statistics),
        }
    }

    /// Claims one batch, the most urgent steps first. Their messages and the wake-ups of their
    /// workers commit with the claim.
    pub(crate) async fn claim(&mut self, monitor: &mut PgNotifyMonitor) -> Result<Claimed, Error> {
        monitor.before_claim(&mut self.connection).await;
        let started = Instant::now();
        let guard = self.troubles.guard(&self.connection);
        let claimed = self
            .connection
            .call("claim_ready_tasks", async |connection| {
                let Claiming {
                    batch_size,
                    namespaces,
                } = &self.claims;
                claim_ready_tasks_of(connection, &self.processor, *batch_size, namespaces, guard)
                    .await
            })
            .await?;
        let steps = record(&claimed.tasks, started.elapsed());
        monitor.claimed(&claimed.tasks);
        for task in &claimed.tasks {
            self.statistics.record_if_sampled(Lasted {
                event: TimedEvent::ReadyToEnqueued,
                task_uuid: task.task_uuid,
                step: None,
                priority: task.priority,
                latency: Some(task.ready_for()),
                failed: false,
            });
        }
        self.dead_rows
            .enqueued(steps + self.sent_beside.swap(0, Ordering::Relaxed));
        debug!(tasks = claimed.tasks.len(), steps, "claimed");
        if claimed.locked > 0 {
            metrics().steps_locked(u64::from(claimed.locked));
            debug!(steps = claimed.locked, "left out what others hold");
        }
        let is_full = steps >= u64::from(self.claims.batch_size.unsigned_abs());
        let is_all = claimed.locked == 0 && claimed.troubled.is_empty();
        let used = claimed.tasks.iter().map(|task| task.namespace.as_str());
        self.troubles.note("write to", claimed.troubled, used);
        Ok(match (is_full, is_all) {
            (true, _) => Claimed::Full,
            (false, true) => Claimed::All,
            (false, false) => Claimed::NotAll,
        })
    }

    /// Rids the tables of the dead rows that many claims left behind.
    pub(crate) async fn discard_dead_rows(&mut self) {
        if self.dead_rows.look_is_due() {
            self.dead_rows.look(&mut self.maintenance).await;
        }
    }
}

/// Feeds the metrics of claims; returns how many steps were claimed.
fn record(tasks: &[ClaimedTask], duration: Duration) -> u64 {
    let mut by_namespace = BTreeMap::<&str, u64>::new();
    for task in tasks {
        let steps = u64::try_from(task.ready_steps).unwrap_or(0);
        *by_namespace.entry(&task.namespace).or_default() += steps;
        metrics().ready_to_claimed(task.ready_for());
        if let Some(after) = task.successor_after() {
            metrics().successor_enqueued(after);
        }
    }
    for (namespace, steps) in &by_namespace {
        metrics().steps_claimed(namespace, *steps);
    }
    // A claim wakes the workers of each queue it wrote to.
    metrics().notifications_sent("pgmq", by_namespace.len() as u64);
    let steps = by_namespace.values().sum();
    metrics().claimed(steps, duration);
    steps
}
