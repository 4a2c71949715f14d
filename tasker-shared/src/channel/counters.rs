//! What a channel counts. Kept under the channel's lock, so every reading is of one moment.

use std::{ops::AddAssign, time::Duration};

/// Upper bounds, in seconds, of the buckets that waits are counted in. Below a tenth of a
/// millisecond a wait is a change of tasks; above ten seconds the receiver stands still.
pub const WAIT_BOUNDS_SECONDS: [f64; 10] = [
    0.000_01, 0.000_1, 0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 10.0, 60.0,
];

/// The same bounds, in nanoseconds.
const WAIT_BOUNDS_NANOS: [u64; 10] = [
    10_000,
    100_000,
    1_000_000,
    5_000_000,
    20_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
    60_000_000_000,
];

/// What happened in a channel since it was made. Nothing here ever falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that entered it.
    pub sent: u64,
    /// Messages that were received.
    pub received: u64,
    /// Sends that found it full and waited.
    pub blocked: u64,
    /// Messages that its policy dropped.
    pub dropped: u64,
    /// Messages that senders got back.
    pub failures: Failures,
    /// How long blocked sends waited.
    pub waits: Waits,
}

/// Sends whose message came back, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// The channel was full.
    pub full: u64,
    /// The receiver was gone.
    pub closed: u64,
    /// No room came free in time.
    pub timed_out: u64,
    /// No attempt found room.
    pub retries_exceeded: u64,
}

/// How long blocked sends waited, whether they got in or gave up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// Waits up to each bound of [`WAIT_BOUNDS_SECONDS`] and above the one before; longer ones last.
    buckets: [u64; WAIT_BOUNDS_NANOS.len() + 1],
    total_nanos: u64,
}

impl Failures {
    /// Sends that found no room and got their message back.
    pub fn for_lack_of_room(&self) -> u64 {
        self.full + self.timed_out + self.retries_exceeded
    }
}

impl Waits {
    pub(super) fn add(&mut self, wait: Duration) {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let bucket = WAIT_BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        self.buckets[bucket] += 1;
        self.total_nanos = self.total_nanos.saturating_add(nanos);
    }

    /// Waits at most as long as each bound, and all waits last: what a histogram is scraped as.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = WAIT_BOUNDS_SECONDS.into_iter().map(Some).chain([None]);
        let counts = self.buckets.into_iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(counts)
    }

    /// Waits.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All waits together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_nanos)
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.blocked += other.blocked;
        self.dropped += other.dropped;
        self.failures.full += other.failures.full;
        self.failures.closed += other.failures.closed;
        self.failures.timed_out += other.failures.timed_out;
        self.failures.retries_exceeded += other.failures.retries_exceeded;
        for (bucket, count) in self.waits.buckets.iter_mut().zip(other.waits.buckets) {
            *bucket += count;
        }
        self.waits.total_nanos = self
            .waits
            .total_nanos
            .saturating_add(other.waits.total_nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_in_seconds_and_in_nanoseconds_are_the_same() {
        for (seconds, nanos) in WAIT_BOUNDS_SECONDS.into_iter().zip(WAIT_BOUNDS_NANOS) {
            assert_eq!(
                Duration::from_secs_f64(seconds),
                Duration::from_nanos(nanos)
            );
        }
    }

    #[test]
    fn a_wait_counts_in_every_bucket_that_it_fits() {
        let mut waits = Waits::default();
        waits.add(Duration::from_micros(10));
        waits.add(Duration::from_millis(2));
        waits.add(Duration::from_hours(1));
        let up_to = |bound: Option<f64>| {
            let mut all = waits.cumulative();
            all.find(|(of, _)| *of == bound).unwrap().1
        };
        assert_eq!(up_to(Some(0.000_01)), 1);
        assert_eq!(up_to(Some(0.001)), 1);
        assert_eq!(up_to(Some(0.005)), 2);
        assert_eq!(up_to(Some(60.0)), 2);
        assert_eq!(up_to(None), 3);
        assert_eq!(waits.count(), 3);
        assert_eq!(
            waits.total(),
            Duration::from_hours(1) + Duration::from_micros(2010)
        );
    }

    #[test]
    fn sums_leave_nothing_out() {
        let mut one = Counters {
            sent: 1,
            received: 2,
            blocked: 3,
            dropped: 4,
            failures: Failures {
                full: 5,
                closed: 6,
                timed_out: 7,
                retries_exceeded: 8,
            },
            ..Counters::default()
        };
        one.waits.add(Duration::from_secs(9));
        let mut sum = Counters::default();
        sum += one;
        assert_eq!(sum, one);
        assert_eq!(sum.failures.for_lack_of_room(), 20);
    }
}
