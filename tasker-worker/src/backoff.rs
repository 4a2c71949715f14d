//! Pauses between attempts at the same database call, and one log line per outage.

use std::time::Duration;

use tasker_shared::error::Error;
use tracing::{debug, info, warn};

/// First pause: short, because most failures are one broken connection.
const MIN: Duration = Duration::from_millis(50);

/// Longest pause: what a worker may idle after PostgreSQL is back.
const MAX: Duration = Duration::from_secs(2);

/// The failures in a row of one loop's calls.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// What the loop tries to do, to complete "could not ...".
    doing: &'static str,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(doing: &'static str) -> Self {
        Self { doing, failures: 0 }
    }

    /// Notes a failure and returns how long to pause. Only the first in a row is worth a warning.
    pub(crate) fn failed(&mut self, error: &Error) -> Duration {
        let doing = self.doing;
        if self.failures == 0 {
            warn!(%error, "could not {doing}; trying again until it works");
        } else {
            debug!(%error, failures = self.failures, "could not {doing}");
        }
        let pause = MIN.saturating_mul(1 << self.failures.min(16)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        // Half of it is left to chance, so that a fleet does not come back in step.
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self) {
        if self.failures > 0 {
            let doing = self.doing;
            info!(failures = self.failures, "could {doing} again");
            self.failures = 0;
        }
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

    #[test]
    fn pauses_grow_to_a_bound_and_start_anew_after_a_success() {
        let mut backoff = Backoff::new("look");

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
}
