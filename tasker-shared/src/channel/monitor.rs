//! What is known about one channel: how full it is, what passed through it, when it was full.

use std::{fmt, sync::Arc};

use super::{
    counters::Counters,
    saturation::{Level, Saturation},
    spec::{Bounds, ChannelSpec},
};

/// A channel, as metrics and health checks see it. Usage is exact; counters never go back.
#[derive(Clone)]
pub struct ChannelMonitor(pub(super) Arc<dyn Observed>);

/// What monitors read, of channels of all kinds of messages.
pub(super) trait Observed: Send + Sync {
    fn status(&self) -> ChannelStatus;
    fn counters(&self) -> Counters;
    /// Ends the time between two samples of the peak.
    fn sample(&self);
    /// Whether senders go on without receivers that are too slow, each of which is told what it
    /// missed. Such a channel may be full for as long as one receiver stands still.
    fn leaves_the_slow_behind(&self) -> bool {
        false
    }
}

/// A channel between tasks of the server's process.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Channel)]
pub struct ChannelStatus {
    /// The channel's name.
    pub name: &'static str,
    /// The part of the product that receives from it.
    pub component: &'static str,
    /// Most messages that wait in it.
    pub capacity: usize,
    /// Messages waiting.
    pub len: usize,
    /// Most bytes that wait in it; null where only messages count.
    #[schema(required)]
    pub max_bytes: Option<usize>,
    /// Bytes waiting, where they count.
    pub bytes: usize,
    /// The nearer of both bounds, in percent of it.
    pub usage_percent: f64,
    /// The highest usage of late, from 0 to 1.
    pub saturation: f64,
    /// Most messages that ever waited.
    pub high_water: usize,
    /// Messages sent.
    pub sent_total: u64,
    /// Messages received.
    pub received_total: u64,
    /// Sends that found the channel full and waited.
    pub blocked_total: u64,
    /// Sends that found the channel full and got the message back.
    pub refused_total: u64,
    /// Messages that the channel's policy dropped.
    pub dropped_total: u64,
}

impl ChannelMonitor {
    /// All of it at one moment.
    pub fn status(&self) -> ChannelStatus {
        self.0.status()
    }

    /// What happened since the channel was made.
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// The nearer of both bounds, in percent of it; 100 while a sender waits for room.
    pub fn usage_percent(&self) -> f64 {
        self.status().usage_percent
    }

    /// Whether at least `threshold`, from 0 to 1, of a bound is used.
    pub fn is_saturated(&self, threshold: f64) -> bool {
        self.status().is_saturated(threshold)
    }

    pub(super) fn sample(&self) {
        self.0.sample();
    }

    pub(super) fn leaves_the_slow_behind(&self) -> bool {
        self.0.leaves_the_slow_behind()
    }
}

impl fmt::Debug for ChannelMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

impl ChannelStatus {
    /// Whether at least `threshold`, from 0 to 1, of a bound is used.
    pub fn is_saturated(&self, threshold: f64) -> bool {
        self.usage_percent >= threshold * 100.0
    }

    pub(super) fn new(
        spec: ChannelSpec,
        bounds: Bounds,
        level: Level,
        high_water: usize,
        counters: &Counters,
        saturation: &Saturation,
    ) -> Self {
        Self {
            name: spec.name,
            component: spec.component,
            capacity: bounds.messages,
            len: level.len,
            max_bytes: bounds.max_bytes(),
            bytes: level.bytes,
            usage_percent: level.usage(bounds) * 100.0,
            saturation: saturation.recent_peak(),
            high_water,
            sent_total: counters.sent,
            received_total: counters.received,
            blocked_total: counters.blocked,
            refused_total: counters.failures.for_lack_of_room(),
            dropped_total: counters.dropped,
        }
    }
}
