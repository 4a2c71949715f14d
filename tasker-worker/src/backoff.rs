//! Pauses between attempts at the same database call, and one log line per outage.

use std::time::Duration;

use tasker_shared::error::Error;
use tasker_shared::outage::{Outage, OutageWatch};

/// First pause: short, because most failures are one broken connection.
const MIN: Duration = Duration::from_millis(50);

/// Longest pause: what a worker may idle after PostgreSQL is back.
const MAX: Duration = Duration::from_secs(2);

/// The failures in a row of one loop's calls.
#[derive(Debug)]
pub(crate) struct Backoff {
    outage: Outage,
    longest: Duration,
}

impl Backoff {
    /// `doing` is what the loop tries to do, to complete "could not ..."; `watch` shows others
    /// whether it can.
    pub(crate) fn new(doing: &'static str, watch: OutageWatch) -> Self {
        Self {
            outage: Outage::new(doing, watch),
            longest: MAX,
        }
    }

    /// The same with pauses of this length at most.
    pub(crate) fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest.min(MAX);
        self
    }

    /// Notes a failure and returns how long to pause.
    pub(crate) fn failed(&mut self, error: &Error) -> Duration {
        let failures = self.outage.failed(error);
        let pause = MIN.saturating_mul(1 << failures.min(16)).min(self.longest);
        // Half of it is left to chance, so that a fleet does not come back in step.
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self) {
        self.outage.over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage() -> Error {
        Error::Unavailable {
            message: "gone".to_owned(),
        }
    }

    fn backoff() -> Backoff {
        Backoff::new("look", OutageWatch::default())
    }

    #[test]
    fn pauses_grow_to_a_bound_and_start_anew_after_a_success() {
        let mut backoff = backoff();

        let pauses = (0..100)
            .map(|_| backoff.failed(&outage()))
            .collect::<Vec<_>>();
        assert!(pauses[0] <= MIN);
        assert!(
            pauses
                .iter()
                .all(|pause| *pause <= MAX && *pause >= MIN / 2)
        );
        assert!(pauses[99] >= MAX / 2);

        backoff.succeeded();
        assert!(backoff.failed(&outage()) <= MIN);
    }

    #[test]
    fn a_loop_in_a_hurry_pauses_no_longer_than_it_may() {
        let longest = Duration::from_millis(10);
        let mut backoff = backoff().at_most(longest);
        assert!((0..10).all(|_| backoff.failed(&outage()) <= longest));
    }
}
