//! What every loop of the orchestrator needs.

use std::sync::Arc;
use std::time::Duration;

use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
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
}

impl Engine {
    pub(crate) fn new(database: &Database, config: &TaskerConfig) -> Self {
        let statistics = SampledStatisticsCollector::new(config.statistics.clone());
        Self {
            database: database.clone(),
            wakeups: Wakeups::default(),
            outages: Outages::default(),
            statistics: Arc::new(statistics),
        }
    }
}
