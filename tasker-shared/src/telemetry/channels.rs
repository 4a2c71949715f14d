//! Metrics of channels: read from the registry when they are scraped, and not read where
//! `mpsc_channels.overflow_policy.metrics.enabled` is false.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use crate::channel::{self, Counters, WAIT_BOUNDS_SECONDS, Waits, registry};

/// The histogram of how long blocked sends waited.
const WAITS: &str = "mpsc_channel_blocked_send_seconds";

/// Makes the instruments. They live as long as the provider of `meter`. What is returned keeps
/// scrapes short when it is told to record now and then.
pub(super) fn observe(meter: &Meter) -> Arc<RecordedWaits> {
    let waits = Arc::new(RecordedWaits::new(meter));
    observe_levels(meter);
    observe_messages(meter);
    observe_full_events(meter, Arc::clone(&waits));
    waits
}

/// What is particular about the histogram of waits: it has no smallest and largest value, because
/// it is given means.
pub(super) fn view(instrument: &Instrument) -> Option<Stream> {
    if instrument.name() != WAITS {
        return None;
    }
    let aggregation = Aggregation::ExplicitBucketHistogram {
        boundaries: WAIT_BOUNDS_SECONDS.to_vec(),
        record_min_max: false,
    };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

fn observe_levels(meter: &Meter) {
    meter
        .f64_observable_gauge("mpsc_channel_usage_percent")
        .with_description("How much of the channel's nearer bound is used, in percent")
        .with_callback(|observer| {
            for (labels, level) in levels() {
                observer.observe(level.usage_percent, &labels);
            }
        })
        .build();
    meter
        .f64_observable_gauge("mpsc_channel_saturation")
        .with_description("Highest part of the channel's nearer bound used of late, from 0 to 1")
        .with_callback(|observer| {
            for (labels, level) in levels() {
                observer.observe(level.saturation, &labels);
            }
        })
        .build();
    meter
        .u64_observable_gauge("mpsc_channel_capacity")
        .with_description("Most messages that wait in the channel")
        .with_callback(|observer| {
            for (labels, level) in levels() {
                observer.observe(level.capacity as u64, &labels);
            }
        })
        .build();
}

fn observe_messages(meter: &Meter) {
    meter
        .u64_observable_counter("mpsc_messages_sent_total")
        .with_description("Messages sent")
        .with_callback(|observer| {
            for (labels, counters) in totals() {
                observer.observe(counters.sent, &labels);
            }
        })
        .build();
    meter
        .u64_observable_counter("mpsc_messages_received_total")
        .with_description("Messages received")
        .with_callback(|observer| {
            for (labels, counters) in totals() {
                observer.observe(counters.received, &labels);
            }
        })
        .build();
}

fn observe_full_events(meter: &Meter, waits: Arc<RecordedWaits>) {
    meter
        .u64_observable_counter("mpsc_channel_full_events_total")
        .with_description("Messages that found the channel full, by what happened to them")
        .with_callback(move |observer| {
            waits.record();
            for (labels, counters) in totals() {
                let actions = [("blocked", counters.blocked), ("dropped", counters.dropped)];
                for (action, count) in actions {
                    observer.observe(count, &with(&labels, "action", action));
                }
            }
        })
        .build();
    meter
        .u64_observable_counter("mpsc_send_failures_total")
        .with_description("Sends whose message came back, by error")
        .with_callback(|observer| {
            for (labels, Counters { failures, .. }) in totals() {
                for (error, count) in [
                    ("full", failures.full),
                    ("closed", failures.closed),
                    ("timed_out", failures.timed_out),
                    ("retries_exceeded", failures.retries_exceeded),
                ] {
                    observer.observe(count, &with(&labels, "error", error));
                }
            }
        })
        .build();
}

/// The histogram of waits, fed at each scrape, and in between, with what was waited since.
///
/// The SDK takes histograms one value at a time, each of which costs more than a send; so waits are
/// counted by bucket under the channel's lock, and here each bucket gets the mean of its new waits
/// as often as there are some. Counts are exact, and so is the sum.
pub(super) struct RecordedWaits {
    histogram: Histogram<f64>,
    /// What the histogram holds. Locked while it is fed, because several readers scrape.
    recorded: Mutex<BTreeMap<(&'static str, &'static str), Waits>>,
}

impl RecordedWaits {
    fn new(meter: &Meter) -> Self {
        let histogram = meter
            .f64_histogram(WAITS)
            .with_description("Seconds that blocked sends waited until they got in or gave up")
            .build();
        Self {
            histogram,
            recorded: Mutex::default(),
        }
    }

    /// Records what is new; takes about a fifth of a microsecond for each wait.
    pub(super) fn record(&self) {
        // A thread that panicked while it held the lock has recorded what it noted.
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        for ((component, name), Counters { waits, .. }) in counters() {
            let earlier = recorded
                .insert((component, name), waits)
                .unwrap_or_default();
            let labels = labels(component, name);
            for (count, mean) in waits.since(earlier) {
                for _ in 0..count {
                    self.histogram.record(mean.as_secs_f64(), &labels);
                }
            }
        }
    }
}

/// How full channels of one name are.
#[derive(Default)]
struct Level {
    capacity: usize,
    usage_percent: f64,
    saturation: f64,
}

/// One level for each name. Several channels can share one, when a process runs several workers:
/// the fullest is the one to look at.
fn levels() -> Vec<([KeyValue; 2], Level)> {
    if !channel::have_metrics() {
        return Vec::new();
    }
    let mut levels = BTreeMap::<_, Level>::new();
    for status in registry::snapshot() {
        let level = levels.entry((status.component, status.name)).or_default();
        level.capacity = level.capacity.max(status.capacity);
        level.usage_percent = level.usage_percent.max(status.usage_percent);
        level.saturation = level.saturation.max(status.saturation);
    }
    let levels = levels.into_iter();
    levels
        .map(|((component, name), level)| (labels(component, name), level))
        .collect()
}

fn totals() -> impl Iterator<Item = ([KeyValue; 2], Counters)> {
    counters()
        .into_iter()
        .map(|((component, name), counters)| (labels(component, name), counters))
}

fn counters() -> BTreeMap<(&'static str, &'static str), Counters> {
    if channel::have_metrics() {
        registry::totals()
    } else {
        BTreeMap::new()
    }
}

fn labels(component: &'static str, name: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("channel", name),
        KeyValue::new("component", component),
    ]
}

fn with(
    [channel, component]: &[KeyValue; 2],
    label: &'static str,
    value: impl Into<opentelemetry::Value>,
) -> [KeyValue; 3] {
    [
        channel.clone(),
        component.clone(),
        KeyValue::new(label, value),
    ]
}
