//! What every loop of the orchestrator needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::dead_rows::STEPS_BETWEEN_LOOKS;
use tasker_shared::outage::Outages;
use tasker_shared::statistics::SampledStatisticsCollector;

use crate::wakeups::Wakeups;

/// A call of a loop takes milliseconds. After this long the process at its other end may be frozen,
/// and the call is repeated on another connection.
pub(crate) const FROZEN_AFTER: Duration = Duration::from_secs(5);

/// Shared by the loops of one orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) wakeups: Wakeups,
    pub(crate) outages: Outages,
    pub(crate) statistics: Arc<SampledStatisticsCollector>,
    /// Messages that others of this process put into queues since they were last asked for.
    pub(crate) sent_beside: Arc<AtomicU64>,
}

impl Engine {
    pub(crate) fn new(database: &Database, config: &TaskerConfig) -> Self {
        let statistics = SampledStatisticsCollector::new(config.statistics.clone());
        Self {
            database: database.clone(),
            wakeups: Wakeups::default(),
            outages: Outages::default(),
            statistics: Arc::new(statistics),
            sent_beside: Arc::default(),
        }
    }

    /// Others of this process put so many messages into queues: they leave dead rows behind as claimed
    /// steps do, which nobody would look for where nothing is claimed.
    pub(crate) fn sent_beside(&self, messages: u64) {
        let before = self.sent_beside.fetch_add(messages, Ordering::Relaxed);
        if before < STEPS_BETWEEN_LOOKS && before + messages >= STEPS_BETWEEN_LOOKS {
            self.wakeups.wake_claims();
        }
    }
}
