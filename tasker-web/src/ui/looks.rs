//! What pages show of the database that costs more than a few milliseconds: seen from time to time, for
//! all viewers at once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tasker_shared::processes::{StepsWithoutWorker, steps_without_worker};
use tasker_shared::queues::{QueueTrouble, queue_troubles};
use tasker_shared::statistics::{MinuteStatistics, statistics_by_minute};
use tasker_shared::why::{CommonCause, why_longest};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::plots::MINUTES;
use crate::ui::prelude::*;

/// Tasks of which the overview tells what they wait for.
pub(super) const OLDEST_TASKS: i32 = 20;

/// Pages of samples that are read at most: about ten thousand samples.
const SAMPLE_PAGES: i32 = 128;

/// The least time between two looks, and how many times as long as one takes it is at least.
const INTERVAL: Duration = Duration::from_secs(10);
const REST: u32 = 50;

/// A look, with when the next is due.
type Latest = Option<(Instant, Arc<Look>)>;

/// The latest look; clones share it.
#[derive(Clone)]
pub(crate) struct Looks {
    latest: Arc<Mutex<Latest>>,
    /// Whether this process samples events.
    pub(super) samples: bool,
}

/// What was seen at a moment.
#[derive(Default)]
pub(super) struct Look {
    pub(super) at: DateTime<Utc>,
    /// Whether nothing could be seen.
    pub(super) has_failed: bool,
    pub(super) without_worker: Vec<StepsWithoutWorker>,
    pub(super) queue_troubles: Vec<QueueTrouble>,
    /// What the oldest tasks wait for.
    pub(super) causes: Vec<CommonCause>,
    /// Sampled events of the last hour.
    pub(super) minutes: Vec<MinuteStatistics>,
}

impl Looks {
    pub(crate) fn new(samples: bool) -> Self {
        let latest = Arc::default();
        Self { latest, samples }
    }

    /// The latest look, or another where it is time.
    pub(super) async fn latest(&self, state: &WebState) -> Arc<Look> {
        let mut latest = self.latest.lock().await;
        if let Some((due, look)) = &*latest
            && Instant::now() < *due
        {
            return Arc::clone(look);
        }
        let began = Instant::now();
        let look = Arc::new(look(state).await);
        let pause = INTERVAL.max(began.elapsed() * REST);
        *latest = Some((Instant::now() + pause, Arc::clone(&look)));
        look
    }
}

/// Looks. A failure is no reason to show nothing: the rest may say why it fails.
async fn look(state: &WebState) -> Look {
    let at = Utc::now();
    let minute = at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at);
    let since = minute - TimeDelta::minutes(i64::from(MINUTES) - 1);
    let call = state.database.call("ui_look", async |connection| {
        Ok(Look {
            at,
            has_failed: false,
            without_worker: steps_without_worker(connection, &[]).await?,
            queue_troubles: queue_troubles(connection).await?,
            causes: why_longest(connection, OLDEST_TASKS).await?,
            minutes: statistics_by_minute(connection, since, SAMPLE_PAGES).await?,
        })
    });
    call.await.unwrap_or_else(|error| {
        warn!(%error, "could not look at what the overview shows");
        Look {
            at,
            has_failed: true,
            ..Look::default()
        }
    })
}
