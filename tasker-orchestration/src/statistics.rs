//! Tends the tables of statistics: makes partitions in time, and reduces old days to what is left of
//! them.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::outage::Outage;
use tasker_shared::statistics::tend_statistics;
use tasker_shared::supervisor::Supervised;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// Time between two scans: days change slowly.
const INTERVAL: Duration = Duration::from_mins(10);

/// Time between two parts of a day that is reduced: one reads some tens of megabytes, and nothing
/// else is to wait for that.
const PAUSE: Duration = Duration::from_millis(200);

/// The loop that tends.
pub(crate) struct StatisticsTending {
    retention_days: u16,
    engine: Engine,
    outage: Outage,
    stop: CancellationToken,
}

impl StatisticsTending {
    pub(crate) fn new(retention_days: u16, engine: &Engine, stop: CancellationToken) -> Self {
        Self {
            retention_days,
            engine: engine.clone(),
            // The orchestrator does its work without statistics.
            outage: Outage::new(Self::NAME, "tend statistics"),
            stop,
        }
    }
}

impl Supervised for StatisticsTending {
    const NAME: &'static str = "statistics_tending";

    async fn run(&mut self) {
        let Self {
            retention_days,
            engine,
            outage,
            stop,
        } = self;
        let look = || async {
            let database = &engine.database;
            let tended = database.call("tend_statistics", async |connection| {
                tend_statistics(connection, *retention_days).await
            });
            Ok(jittered(if tended.await? { PAUSE } else { INTERVAL }))
        };
        outage.look_after(jittered(PAUSE), look, stop).await;
    }
}
