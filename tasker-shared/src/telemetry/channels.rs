//! Metrics of channels: read from the registry when they are scraped.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, metrics::Meter};

use crate::channel::{Counters, registry};

/// Makes the instruments. They live as long as the provider of `meter`.
pub(super) fn observe(meter: &Meter) {
    observe_levels(meter);
    observe_messages(meter);
    observe_full_events(meter);
    observe_waits(meter);
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

fn observe_full_events(meter: &Meter) {
    meter
        .u64_observable_counter("mpsc_channel_full_events_total")
        .with_description("Messages that found the channel full, by what happened to them")
        .with_callback(|observer| {
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

/// A histogram in three counters. Waits are counted under the channel's lock, in nanoseconds, and
/// the SDK takes histograms only one value at a time.
fn observe_waits(meter: &Meter) {
    meter
        .u64_observable_counter("mpsc_channel_blocked_send_seconds_bucket")
        .with_description("Blocked sends that waited at most le seconds")
        .with_callback(|observer| {
            for (labels, Counters { waits, .. }) in totals() {
                for (bound, count) in waits.cumulative() {
                    let le = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
                    observer.observe(count, &with(&labels, "le", le));
                }
            }
        })
        .build();
    meter
        .u64_observable_counter("mpsc_channel_blocked_send_seconds_count")
        .with_description("Blocked sends that got in or gave up")
        .with_callback(|observer| {
            for (labels, counters) in totals() {
                observer.observe(counters.waits.count(), &labels);
            }
        })
        .build();
    meter
        .f64_observable_counter("mpsc_channel_blocked_send_seconds_sum")
        .with_description("Seconds that blocked sends waited")
        .with_callback(|observer| {
            for (labels, counters) in totals() {
                observer.observe(counters.waits.total().as_secs_f64(), &labels);
            }
        })
        .build();
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
    registry::totals()
        .into_iter()
        .map(|((component, name), counters)| (labels(component, name), counters))
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
