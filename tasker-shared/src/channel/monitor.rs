//! What is known about one channel: how full it is, what passed through it, when it was full.

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use tracing::warn;

use super::ChannelSpec;
use crate::config::{MpscChannelsConfig, OverflowPolicyConfig};

/// The threshold of warnings, as the bits of an `f64`: one for the process, like the registry.
static WARNING_THRESHOLD: LazyLock<AtomicU64> = LazyLock::new(|| {
    AtomicU64::new(
        MpscChannelsConfig::default()
            .overflow_policy
            .log_warning_threshold
            .to_bits(),
    )
});

/// Sets for all channels of the process what happens when one fills. To be called once, at start.
pub fn configure(policy: &OverflowPolicyConfig) {
    WARNING_THRESHOLD.store(policy.log_warning_threshold.to_bits(), Relaxed);
}

fn warning_threshold() -> f64 {
    f64::from_bits(WARNING_THRESHOLD.load(Relaxed))
}

/// What happened to a send that found the channel full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullAction {
    /// It waited for a place.
    Blocked,
    /// The message was handed back.
    Refused,
}

/// What is known about one channel. Usage is exact; counters never go back.
#[derive(Debug)]
pub struct ChannelMonitor {
    spec: ChannelSpec,
    len: AtomicUsize,
    high_water: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
    blocked: AtomicU64,
    refused: AtomicU64,
    /// Whether the current episode of saturation has been warned of.
    saturated: AtomicBool,
}

/// A channel's state at one moment.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ChannelStatus {
    /// The channel's name.
    pub name: &'static str,
    /// The part of the product that receives from it.
    pub component: &'static str,
    /// Most messages that wait in it.
    pub capacity: usize,
    /// Messages waiting.
    pub len: usize,
    /// Messages waiting, in percent of the capacity.
    pub usage_percent: f64,
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
}

impl ChannelMonitor {
    pub(super) fn new(spec: ChannelSpec) -> Self {
        Self {
            spec,
            len: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            saturated: AtomicBool::new(false),
        }
    }

    /// The channel's name and the part of the product that receives from it.
    pub fn spec(&self) -> ChannelSpec {
        self.spec
    }

    /// Most messages that wait in the channel.
    pub fn capacity(&self) -> usize {
        self.spec.capacity
    }

    /// Messages waiting.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages waiting, in percent of the capacity.
    pub fn usage_percent(&self) -> f64 {
        self.usage(self.len()) * 100.0
    }

    /// Whether at least `threshold`, from 0 to 1, of the capacity is used.
    pub fn is_saturated(&self, threshold: f64) -> bool {
        self.usage(self.len()) >= threshold
    }

    /// All of it at one moment.
    pub fn status(&self) -> ChannelStatus {
        let len = self.len();
        ChannelStatus {
            name: self.spec.name,
            component: self.spec.component,
            capacity: self.spec.capacity,
            len,
            usage_percent: self.usage(len) * 100.0,
            high_water: self.high_water.load(Relaxed),
            sent_total: self.sent.load(Relaxed),
            received_total: self.received.load(Relaxed),
            blocked_total: self.blocked.load(Relaxed),
            refused_total: self.refused.load(Relaxed),
        }
    }

    /// Notes a message; `len` are waiting with it. Returns whether an episode of saturation begins.
    /// Called under the lock of the queue, like `received`.
    pub(super) fn sent(&self, len: usize) -> bool {
        self.len.store(len, Relaxed);
        self.sent.fetch_add(1, Relaxed);
        self.high_water.fetch_max(len, Relaxed);
        self.usage(len) >= warning_threshold() && !self.saturated.swap(true, Relaxed)
    }

    /// Notes that `count` messages were taken and `len` are left. The episode of saturation ends
    /// when usage falls to half the threshold, so that a level that swings does not warn again.
    pub(super) fn received(&self, count: usize, len: usize) {
        self.len.store(len, Relaxed);
        self.received.fetch_add(count as u64, Relaxed);
        if self.usage(len) <= warning_threshold() / 2.0 {
            self.saturated.store(false, Relaxed);
        }
    }

    pub(super) fn full(&self, action: FullAction) {
        let counter = match action {
            FullAction::Blocked => &self.blocked,
            FullAction::Refused => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn warn_of_saturation(&self) {
        let ChannelSpec {
            name,
            component,
            capacity,
        } = self.spec;
        warn!(
            channel = name,
            component,
            capacity,
            len = self.len(),
            "a channel is filling up: its receiver is slower than its senders"
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "capacities are far below 2^52")]
    fn usage(&self, len: usize) -> f64 {
        len as f64 / self.spec.capacity as f64
    }
}
