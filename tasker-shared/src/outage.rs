//! A run of failures of one loop's database calls: what is logged about it, and since when it
//! lasts.
//!
//! One line in the log when it begins and one when it is over, however many attempts lie between;
//! and one for each further cause, because an outage that began with a restart of the server may go
//! on with a password that is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::error::Error;

/// First pause after a call that failed: short, because most failures are one broken connection.
pub const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest such pause: what a loop may idle when PostgreSQL is itself again.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Causes of one outage that are logged, each once.
const CAUSES_TOLD: usize = 8;

/// The failures in a row of one loop's calls.
#[derive(Debug)]
pub struct Outage {
    doing: &'static str,
    backoff: Backoff,
    failures: u32,
    told: Vec<String>,
    watch: OutageWatch,
}

/// Shows whether a loop's calls fail; clones see the same.
#[derive(Debug, Clone, Default)]
pub struct OutageWatch(Arc<Mutex<Option<Instant>>>);

impl Outage {
    /// `doing` completes "could not …"; those with a clone of `watch` see what happens.
    pub fn new(doing: &'static str, backoff: Backoff, watch: OutageWatch) -> Self {
        Self {
            doing,
            backoff,
            failures: 0,
            told: Vec::new(),
            watch,
        }
    }

    /// Notes a failure and returns how long to wait before the next attempt.
    pub fn failed(&mut self, error: &Error) -> Duration {
        let doing = self.doing;
        self.watch.lock().get_or_insert_with(Instant::now);
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
        if self.failures > 0 {
            let lasted = self.watch.lasts().unwrap_or_default();
            info!(
                failures = self.failures,
                ?lasted,
                "could {} again",
                self.doing
            );
            self.failures = 0;
            self.told.clear();
            self.backoff.reset();
        }
        *self.watch.lock() = None;
    }
}

impl OutageWatch {
    /// For how long calls have failed; `None` while they work.
    pub fn lasts(&self) -> Option<Duration> {
        self.lock().map(|began| began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looking(watch: &OutageWatch) -> Outage {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Outage::new("look", backoff, watch.clone())
    }

    fn gone(message: &str) -> Error {
        Error::Unavailable {
            message: message.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_lasts_from_its_first_failure_to_the_next_success() {
        let watch = OutageWatch::default();
        let mut outage = looking(&watch);
        assert_eq!(watch.lasts(), None);

        assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(outage.failed(&gone("password")) >= FIRST_PAUSE);
        assert_eq!(watch.lasts(), Some(Duration::from_secs(3)));

        outage.over();
        assert_eq!(watch.lasts(), None);
        assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
    }

    #[test]
    fn each_cause_is_told_once_and_no_more_than_so_many() {
        let mut outage = looking(&OutageWatch::default());
        for cause in 0..100 {
            for _ in 0..2 {
                outage.failed(&gone(&cause.to_string()));
            }
        }
        assert_eq!(outage.told.len(), CAUSES_TOLD);
    }
}
