//! Pauses between attempts: they grow, and differ between instances of a fleet.

use std::time::Duration;

/// A pause between half and all of `pause`, so that a fleet does not act in step.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Pauses that double from `min` to `max`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `min`, or with `max` where that is less.
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.min(max);
        Self {
            min,
            max,
            next: min,
        }
    }

    /// The next pause, jittered.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        jittered(pause)
    }

    /// Begins again with the shortest pause.
    pub fn reset(&mut self) {
        self.next = self.min;
    }

    /// The longest pause.
    pub const fn max(&self) -> Duration {
        self.max
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

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let longest = Duration::from_millis(10);
        let mut backoff = Backoff::new(Duration::from_millis(50), longest);
        assert!((0..10).all(|_| backoff.pause() <= longest));
    }
}
