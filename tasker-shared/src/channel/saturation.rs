//! How full a channel gets over time: episodes of saturation, and the peak between two samples.

use std::{
    sync::{LazyLock, RwLock},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::spec::{Bounds, ChannelSpec};
use crate::config::OverflowPolicyConfig;

/// What all channels of the process have in common.
#[derive(Debug, Clone, Copy)]
struct Settings {
    /// Usage, from 0 to 1, at which an episode begins.
    warning_threshold: f64,
    /// A channel is warned of at most once in this time.
    check_interval: Duration,
    /// Whether channels appear among the metrics.
    has_metrics: bool,
}

static SETTINGS: LazyLock<RwLock<Settings>> =
    LazyLock::new(|| RwLock::new(Settings::of(&OverflowPolicyConfig::default())));

impl Settings {
    fn of(policy: &OverflowPolicyConfig) -> Self {
        Self {
            warning_threshold: policy.log_warning_threshold,
            check_interval: policy.metrics.saturation_check_interval,
            has_metrics: policy.metrics.enabled,
        }
    }
}

/// Sets what the channels made from here on take for full, and whether channels appear among the
/// metrics. To be called once, at start.
pub fn configure(policy: &OverflowPolicyConfig) {
    // Nothing panics while it holds the lock.
    if let Ok(mut settings) = SETTINGS.write() {
        *settings = Settings::of(policy);
    }
}

fn settings() -> Settings {
    *SETTINGS.read().expect("nothing panics while it writes")
}

/// Whether channels appear among the metrics.
pub(crate) fn have_metrics() -> bool {
    settings().has_metrics
}

/// How full a channel is: messages, and bytes where they count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) len: usize,
    pub(super) bytes: usize,
}

impl Level {
    /// The part of the bounds that is used, from 0 to 1: of the one that is nearer.
    #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
    pub(super) fn usage(self, bounds: Bounds) -> f64 {
        let of_count = self.len as f64 / bounds.messages as f64;
        let of_bytes = self.bytes as f64 / bounds.bytes as f64;
        // One message may weigh more than the bound.
        of_count.max(of_bytes).min(1.0)
    }

    fn reaches(self, other: Self) -> bool {
        self.len >= other.len || self.bytes >= other.bytes
    }

    fn is_within(self, other: Self) -> bool {
        self.len <= other.len && self.bytes <= other.bytes
    }
}

pub(super) struct Saturation {
    bounds: Bounds,
    check_interval: Duration,
    /// From here on a channel is filling up.
    warn: Level,
    /// Down to here it has not drained: half of `warn`, so that a level that swings is one episode.
    calm: Level,
    episode: Option<Episode>,
    warned_at: Option<Instant>,
    /// The highest level since the last sample.
    peak: Level,
    /// The highest usage between the last two samples.
    sampled: f64,
}

/// A time in which a channel was filling up or full.
struct Episode {
    since: Instant,
    is_logged: bool,
}

/// Something worth a line in the log, written when the channel's lock is free again.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    FillingUp(Level),
    Drained(Duration),
}

impl Saturation {
    pub(super) fn new(bounds: Bounds) -> Self {
        let Settings {
            warning_threshold: threshold,
            check_interval,
            has_metrics: _,
        } = settings();
        Self {
            bounds,
            check_interval,
            warn: part(bounds, threshold, f64::ceil),
            calm: part(bounds, threshold / 2.0, f64::floor),
            episode: None,
            warned_at: None,
            peak: Level::default(),
            sampled: 0.0,
        }
    }

    /// Notes a higher level.
    pub(super) fn rose(&mut self, level: Level) -> Option<Notice> {
        self.peak.len = self.peak.len.max(level.len);
        self.peak.bytes = self.peak.bytes.max(level.bytes);
        if self.episode.is_none() && level.reaches(self.warn) {
            return self.begin(level);
        }
        None
    }

    /// Notes that a message found no room at `level`, which may be low where the message is heavy.
    pub(super) fn filled(&mut self, level: Level) -> Option<Notice> {
        self.peak.len = self.bounds.messages;
        self.episode.is_none().then(|| self.begin(level)).flatten()
    }

    /// Notes a lower level.
    pub(super) fn fell(&mut self, level: Level) -> Option<Notice> {
        if self.episode.is_none() || !level.is_within(self.calm) {
            return None;
        }
        let Episode { since, is_logged } = self.episode.take()?;
        is_logged.then(|| Notice::Drained(since.elapsed()))
    }

    /// Ends the time between two samples at `level`.
    pub(super) fn sample(&mut self, level: Level) {
        self.sampled = self.peak.usage(self.bounds);
        self.peak = level;
    }

    /// The highest usage, from 0 to 1, since the sample before the last.
    pub(super) fn recent_peak(&self) -> f64 {
        self.sampled.max(self.peak.usage(self.bounds))
    }

    /// A small channel may fill and drain with every message: it is warned of once in an interval.
    fn begin(&mut self, level: Level) -> Option<Notice> {
        let since = Instant::now();
        let is_logged = self
            .warned_at
            .is_none_or(|at| since - at >= self.check_interval);
        self.episode = Some(Episode { since, is_logged });
        if !is_logged {
            return None;
        }
        self.warned_at = Some(since);
        Some(Notice::FillingUp(level))
    }
}

impl Notice {
    pub(super) fn log(self, spec: ChannelSpec, bounds: Bounds) {
        let (channel, component) = (spec.name, spec.component);
        // It belongs to the channel, not to whatever its last sender is busy with.
        match self {
            Self::FillingUp(Level { len, bytes }) => warn!(
                parent: None,
                channel,
                component,
                len,
                capacity = bounds.messages,
                bytes,
                max_bytes = bounds.max_bytes(),
                "a channel is filling up: its receiver is slower than its senders"
            ),
            Self::Drained(after) => info!(
                parent: None,
                channel,
                component,
                seconds = after.as_secs_f64(),
                "the channel has drained"
            ),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are far below 2^52, and parts of them are not negative"
)]
fn part(bounds: Bounds, part: f64, round: fn(f64) -> f64) -> Level {
    Level {
        len: round(bounds.messages as f64 * part) as usize,
        bytes: match bounds.max_bytes() {
            Some(bytes) => round(bytes as f64 * part) as usize,
            None => usize::MAX,
        },
    }
}
