//! Metrics of channels: read from the registry when they are scraped.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, metrics::Meter};

use crate::channel::registry;

/// Makes the instruments. They live as long as the provider of `meter`.
pub(super) fn observe(meter: &Meter) {
    meter
        .f64_observable_gauge("mpsc_channel_usage_percent")
        .with_description("Messages waiting, in percent of the channel's capacity")
        .with_callback(|observer| {
            for (labels, level) in levels() {
                observer.observe(level.usage_percent, &labels);
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
    meter
        .u64_observable_counter("mpsc_messages_sent_total")
        .with_description("Messages sent")
        .with_callback(|observer| {
            for ((component, name), totals) in registry::totals() {
                observer.observe(totals.sent, &labels(component, name));
            }
        })
        .build();
    meter
        .u64_observable_counter("mpsc_messages_received_total")
        .with_description("Messages received")
        .with_callback(|observer| {
            for ((component, name), totals) in registry::totals() {
                observer.observe(totals.received, &labels(component, name));
            }
        })
        .build();
    meter
        .u64_observable_counter("mpsc_channel_full_events_total")
        .with_description("Sends that found the channel full, by what happened to them")
        .with_callback(|observer| {
            for ((component, name), totals) in registry::totals() {
                let [channel, component] = labels(component, name);
                for (action, count) in [("blocked", totals.blocked), ("refused", totals.refused)] {
                    let action = KeyValue::new("action", action);
                    observer.observe(count, &[channel.clone(), component.clone(), action]);
                }
            }
        })
        .build();
}

/// How full channels of one name are.
#[derive(Default)]
struct Level {
    capacity: usize,
    usage_percent: f64,
}

/// One level for each name. Several channels can share one, when a process runs several workers:
/// the fullest is the one to look at.
fn levels() -> Vec<([KeyValue; 2], Level)> {
    let mut levels = BTreeMap::<_, Level>::new();
    for status in registry::snapshot() {
        let level = levels.entry((status.component, status.name)).or_default();
        level.capacity = level.capacity.max(status.capacity);
        level.usage_percent = level.usage_percent.max(status.usage_percent);
    }
    let levels = levels.into_iter();
    levels
        .map(|((component, name), level)| (labels(component, name), level))
        .collect()
}

fn labels(component: &'static str, name: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("channel", name),
        KeyValue::new("component", component),
    ]
}
