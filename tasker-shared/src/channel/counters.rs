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
    buckets: [Bucket; WAIT_BOUNDS_NANOS.len() + 1],
}

/// Waits between two bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket {
    count: u64,
    nanos: u64,
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
        self.buckets[bucket] += Bucket { count: 1, nanos };
    }

    /// What was added after `earlier`, an older reading of the same channels: for each bucket that
    /// grew, how many waits, and their mean, which lies in the bucket like each of them.
    pub fn since(self, earlier: Self) -> impl Iterator<Item = (u64, Duration)> {
        let pairs = self.buckets.into_iter().zip(earlier.buckets);
        pairs.filter_map(|(now, before)| {
            let count = now.count.saturating_sub(before.count);
            let nanos = now.nanos.saturating_sub(before.nanos);
            Some((count, Duration::from_nanos(nanos.checked_div(count)?)))
        })
    }

    /// Waits.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// All waits together.
    pub fn total(&self) -> Duration {
        let nanos = self.buckets.iter().map(|bucket| bucket.nanos);
        Duration::from_nanos(nanos.fold(0, u64::saturating_add))
    }
}

impl AddAssign for Bucket {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.nanos = self.nanos.saturating_add(other.nanos);
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
        for (bucket, waits) in self.waits.buckets.iter_mut().zip(other.waits.buckets) {
            *bucket += waits;
        }
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
    fn what_was_added_since_is_told_by_bucket_with_its_mean() {
        let mut waits = Waits::default();
        waits.add(Duration::from_millis(2));
        let earlier = waits;
        waits.add(Duration::from_micros(10));
        waits.add(Duration::from_millis(2));
        waits.add(Duration::from_millis(4));
        waits.add(Duration::from_hours(1));
        let since: Vec<_> = waits.since(earlier).collect();
        assert_eq!(
            since,
            [
                (1, Duration::from_micros(10)),
                (2, Duration::from_millis(3)),
                (1, Duration::from_hours(1)),
            ]
        );
        assert_eq!(waits.since(waits).count(), 0);
        assert_eq!(waits.count(), 5);
        assert_eq!(
            waits.total(),
            Duration::from_hours(1) + Duration::from_micros(8010)
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
