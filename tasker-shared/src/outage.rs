//! A run of failures of one loop's database calls: what is logged about it, and since when it
//! lasts.
//!
//! One line in the log when it begins and one when it is over, however many attempts lie between;
//! and one for each further cause, because an outage that began with a restart of the server may go
//! on with a password that is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::telemetry::metrics;

/// First pause after a call that failed: short, because most failures are one broken connection.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest such pause: what a loop may idle when PostgreSQL is itself again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Causes of one outage that are logged, each once.
const CAUSES_TOLD: usize = 8;

/// The failures in a row of one loop's calls.
#[derive(Debug)]
pub struct Outage {
    backoff: Backoff,
    failures: u32,
    told: Vec<String>,
    calls: Arc<Calls>,
}

/// What the loops of one role know of their calls; clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Mutex<Vec<Arc<Calls>>>>);

/// Calls of a loop that fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The name of the loop.
    pub name: &'static str,
    /// What it could not do, to complete "could not …".
    pub doing: &'static str,
    /// Since its first failure in a row.
    pub lasts: Duration,
}

/// How the calls of one loop go.
#[derive(Debug)]
struct Calls {
    name: &'static str,
    doing: &'static str,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    fail_since: Option<Instant>,
    answered_at: Option<Instant>,
}

impl Outage {
    /// The failures of the loop of this name; `doing` completes "could not …".
    pub fn new(name: &'static str, doing: &'static str) -> Self {
        let now = Mutex::default();
        Self {
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            failures: 0,
            told: Vec::new(),
            calls: Arc::new(Calls { name, doing, now }),
        }
    }

    /// The same with pauses that grow from `min` to `max`.
    #[must_use]
    pub fn pausing(mut self, min: Duration, max: Duration) -> Self {
        self.backoff = Backoff::new(min, max);
        self
    }

    /// The same with pauses that are never longer than this.
    #[must_use]
    pub fn pausing_at_most(self, max: Duration) -> Self {
        self.pausing(FIRST_PAUSE, max.min(LONGEST_PAUSE))
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a failure and returns how long to wait before the next attempt.
    pub fn failed(&mut self, error: &Error) -> Duration {
        let doing = self.calls.doing;
        self.calls.now().fail_since.get_or_insert_with(Instant::now);
        let cause = error.to_string();
        if !self.told.contains(&cause) && self.told.len() < CAUSES_TOLD {
            warn!(
                error = cause,
                "could not {doing}; trying again until it works"
            );
            self.told.push(cause);
        } else {
            debug!(error = cause, failures = self.failures, "could not {doing}");
        }
        self.failures = self.failures.saturating_add(1);
        self.backoff.pause()
    }

    /// Notes a success.
    pub fn over(&mut self) {
        let mut now = self.calls.now();
        now.answered_at = Some(Instant::now());
        let since = now.fail_since.take();
        drop(now);
        if let Some(since) = since {
            let (failures, lasted) = (self.failures, since.elapsed());
            info!(failures, ?lasted, "could {} again", self.calls.doing);
            self.failures = 0;
            self.told.clear();
            self.backoff.reset();
        }
    }

    /// Notes what an attempt came to and returns how long to wait before the next: as long as a
    /// success says.
    pub fn pause_after(&mut self, attempt: Result<Duration, Error>) -> Duration {
        match attempt {
            Ok(pause) => {
                self.over();
                pause
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Looks after this pause, and again and again after the pauses that the looks ask for, until
    /// `stop`; counts why it woke.
    pub async fn look_after<F: Future<Output = Result<Duration, Error>>>(
        &mut self,
        mut pause: Duration,
        mut look: impl FnMut() -> F,
        stop: &CancellationToken,
    ) {
        let looking = async {
            loop {
                let reason = if self.failures == 0 {
                    "interval"
                } else {
                    "retry"
                };
                sleep(pause).await;
                metrics().woke(self.calls.name, reason);
                pause = self.pause_after(look().await);
            }
        };
        stop.run_until_cancelled(looking).await;
    }
}

impl Outages {
    /// What one more loop notes of its calls that fail; `doing` completes "could not …".
    pub fn outage(&self, name: &'static str, doing: &'static str) -> Outage {
        let outage = Outage::new(name, doing);
        self.all().push(Arc::clone(&outage.calls));
        outage
    }

    /// The loops whose calls fail at the moment.
    pub fn failing(&self) -> Vec<Failing> {
        let failing = |calls: &Arc<Calls>| {
            let since = calls.now().fail_since?;
            Some(Failing {
                name: calls.name,
                doing: calls.doing,
                lasts: since.elapsed(),
            })
        };
        self.all().iter().filter_map(failing).collect()
    }

    /// How long ago the database last did what a loop asked; `None` where it has not yet.
    pub fn last_answer(&self) -> Option<Duration> {
        let all = self.all();
        let last = all.iter().filter_map(|calls| calls.now().answered_at).max();
        last.map(|at| at.elapsed())
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Calls>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
