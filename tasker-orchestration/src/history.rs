//! Prunes history: deletes tasks whose retention is over, a small transaction at a time.

use std::collections::VecDeque;
use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::history::{Pruned, Retention, Sweep, forget_keys, refresh_log_ranges};
use tasker_shared::outage::Outage;
use tasker_shared::supervisor::Supervised;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::Engine;

/// Longest wait for a lock: live work must not wait behind this loop.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// Longest transaction; one takes some tens of milliseconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// Parts of the sweep behind the others in one round, each of which sees 2,000 tasks; more only while
/// it finds what is due.
const PARTS_BEHIND: u32 = 5;

/// The time in which the indexes of the logs are described again: shorter than any retention that
/// has the pages of a large log filled again and again.
const REFRESHED_WITHIN: Duration = Duration::from_hours(48);

/// Pauses after failures: a folder that cannot be written remains so for a while.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The loop that prunes.
pub(crate) struct HistoryPruning {
    retention: Retention,
    interval: Duration,
    pause: Duration,
    connection: DedicatedConnection,
    round: Round,
    outage: Outage,
    stop: CancellationToken,
}

/// What is left to do before the loop rests.
#[derive(Debug, Default)]
struct Round {
    sweeps: VecDeque<Sweep>,
    /// Whether it was asked which sweeps there are.
    is_begun: bool,
    parts_behind: u32,
    tasks: u64,
    too_large: u64,
}

impl HistoryPruning {
    pub(crate) fn new(config: &TaskerConfig, engine: &Engine, stop: CancellationToken) -> Self {
        let retention = &config.retention;
        let instance = config.orchestration.instance_name();
        let connection = engine.database.dedicated().strictly_within(DEADLINE);
        // The orchestrator does its work while history stays.
        let outage = Outage::new(Self::NAME, "prune history").pausing(PAUSES.0, PAUSES.1);
        Self {
            retention: Retention::new(retention, instance),
            interval: retention.interval,
            pause: retention.pause,
            connection: connection.waiting_for_locks(LOCK_TIMEOUT),
            round: Round::default(),
            outage,
            stop,
        }
    }

    /// Makes one transaction, and says when to make the next.
    async fn proceed(&mut self) -> Result<Duration, Error> {
        let retention = &self.retention;
        if !self.round.is_begun {
            let sweeps = self.connection.call("retention_rules", async |connection| {
                retention.sweeps(connection).await
            });
            self.round = Round {
                sweeps: sweeps.await?.into(),
                is_begun: true,
                ..Round::default()
            };
        }
        let Some(sweep) = self.round.sweeps.front().copied() else {
            return self.finish_round().await;
        };
        let pruned = self.connection.call("sweep_history", async |connection| {
            retention.sweep(connection, sweep).await
        });
        if self.round.note(sweep, &pruned.await?) {
            self.round.sweeps.pop_front();
        }
        Ok(self.pause)
    }

    /// Does what is left when nothing is due any more, and rests.
    async fn finish_round(&mut self) -> Result<Duration, Error> {
        let forgotten = self.connection.call("forget_keys", async |connection| {
            forget_keys(connection).await
        });
        if forgotten.await? {
            return Ok(self.pause);
        }
        let Round {
            tasks, too_large, ..
        } = std::mem::take(&mut self.round);
        if tasks > 0 {
            info!(tasks, "pruned tasks whose retention is over");
            let interval = self.interval;
            let refreshed = self
                .connection
                .call("refresh_log_ranges", async |connection| {
                    refresh_log_ranges(connection, interval, REFRESHED_WITHIN).await
                });
            refreshed.await?;
        }
        if too_large > 0 {
            warn!(
                tasks = too_large,
                "tasks are kept whose results are too large for the archive"
            );
        }
        Ok(jittered(self.interval))
    }
}

impl Round {
    /// Notes a part of a sweep; says whether that sweep is over for this round.
    fn note(&mut self, sweep: Sweep, pruned: &Pruned) -> bool {
        self.tasks += pruned.count();
        self.too_large += pruned.too_large;
        if sweep == Sweep::Behind {
            self.parts_behind += 1;
            if self.parts_behind >= PARTS_BEHIND && pruned.count() == 0 {
                return true;
            }
        }
        pruned.reached.is_none()
    }
}

impl Supervised for HistoryPruning {
    const NAME: &'static str = "history_pruning";

    async fn run(&mut self) {
        // Orchestrators that start together take turns.
        let mut pause = jittered(self.interval.min(Duration::from_secs(10)));
        let stop = self.stop.clone();
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let proceeded = self.proceed().await;
            pause = self.outage.pause_after(proceeded);
        }
    }
}
