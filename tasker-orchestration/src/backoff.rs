//! Pauses between attempts: they grow, and differ between instances of a fleet.

use std::time::Duration;

use tasker_shared::error::Error;
use tasker_shared::outage::{self, OutageWatch};

/// A pause between half and all of `pause`, so that a fleet does not act in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Pauses that double from `min` to `max`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        let max = max.max(min);
        Self {
            min,
            max,
            next: min,
        }
    }

    /// The next pause, jittered.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        jittered(pause)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    pub(crate) const fn max(&self) -> Duration {
        self.max
    }
}

/// The failures in a row of one loop's database calls, and the pauses after them.
#[derive(Debug)]
pub(crate) struct Outage {
    outage: outage::Outage,
    backoff: Backoff,
}

impl Outage {
    /// `doing` completes "could not …"; `watch` shows the failures to others.
    pub(crate) fn new(doing: &'static str, backoff: Backoff, watch: OutageWatch) -> Self {
        Self {
            outage: outage::Outage::new(doing, watch),
            backoff,
        }
    }

    /// Notes a failure and tells how long to wait before the next attempt.
    pub(crate) fn failed(&mut self, error: &Error) -> Duration {
        self.outage.failed(error);
        self.backoff.pause()
    }

    /// Notes a success.
    pub(crate) fn over(&mut self) {
        self.outage.over();
        self.backoff.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for longest in [100, 200, 300, 300] {
            let pause = backoff.pause();
            let longest = Duration::from_millis(longest);
            assert!(pause <= longest && pause >= longest / 2, "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(100));
    }
}
