//! What the overview shows of the database and costs more than a few milliseconds: seen from time to
//! time, for all viewers at once.

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

use crate::state::WebState;
use crate::ui::plots::MINUTES;

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
    samples: bool,
}

/// What was seen at a moment.
#[derive(Default)]
pub(in crate::ui) struct Look {
    pub(in crate::ui) at: DateTime<Utc>,
    /// Whether this process samples events.
    pub(in crate::ui) samples: bool,
    /// Whether nothing could be seen.
    pub(in crate::ui) has_failed: bool,
    pub(in crate::ui) without_worker: Vec<StepsWithoutWorker>,
    pub(in crate::ui) queue_troubles: Vec<QueueTrouble>,
    /// What the oldest tasks wait for.
    pub(in crate::ui) causes: Vec<CommonCause>,
    /// Sampled events of the last hour.
    pub(in crate::ui) minutes: Vec<MinuteStatistics>,
}

impl Looks {
    pub(crate) fn new(samples: bool) -> Self {
        let latest = Arc::default();
        Self { latest, samples }
    }

    /// The latest look, or another where it is time.
    pub(in crate::ui) async fn latest(&self, state: &WebState) -> Arc<Look> {
        let mut latest = self.latest.lock().await;
        if let Some((due, look)) = &*latest
            && Instant::now() < *due
        {
            return Arc::clone(look);
        }
        let began = Instant::now();
        let look = Arc::new(self.look(state).await);
        let pause = INTERVAL.max(began.elapsed() * REST);
        *latest = Some((Instant::now() + pause, Arc::clone(&look)));
        look
    }

    /// Looks. A failure is no reason to show nothing: the rest may say why it fails.
    async fn look(&self, state: &WebState) -> Look {
        let (at, samples) = (Utc::now(), self.samples);
        let minute = at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at);
        let since = minute - TimeDelta::minutes(i64::from(MINUTES) - 1);
        let call = state.database.call("ui_look", async |connection| {
            Ok(Look {
                at,
                samples,
                has_failed: false,
                without_worker: steps_without_worker(connection, &[]).await?,
                queue_troubles: queue_troubles(connection).await?,
                causes: why_longest(connection, OLDEST_TASKS).await?,
                minutes: statistics_by_minute(connection, since, SAMPLE_PAGES).await?,
            })
        });
        call.await.unwrap_or_else(|error| {
            warn!(%error, "could not look at what the overview shows");
            let has_failed = true;
            Look {
                at,
                samples,
                has_failed,
                ..Look::default()
            }
        })
    }
}
