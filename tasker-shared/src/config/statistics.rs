//! Statistics: what is sampled, and for how long it is kept.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::check::{self, Millis, checked, expect};

/// Latencies of events that are sampled.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsConfig {
    /// Whether events are sampled at all.
    pub enabled: bool,
    /// Samples that wait to be written.
    #[serde(deserialize_with = "check::buffer_size")]
    pub buffer_size: usize,
    /// Time between two times that samples are written.
    #[serde(rename = "flush_interval_ms", with = "Millis::<10, 60_000>")]
    pub flush_interval: Duration,
    /// Days for which samples are kept.
    #[serde(deserialize_with = "check::within::<_, _, 1, 3650>")]
    pub retention_days: u16,
    /// The part of the events that is sampled.
    pub sampling_rates: SamplingRatesConfig,
    /// Which priorities are how urgent.
    pub priorities: PriorityClassesConfig,
}

/// The part of the events that is sampled, by how urgent their tasks are.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingRatesConfig {
    /// Of urgent tasks.
    #[serde(deserialize_with = "sampling_rate")]
    pub urgent: f64,
    /// Of tasks of high priority.
    #[serde(deserialize_with = "sampling_rate")]
    pub high: f64,
    /// Of tasks of normal priority.
    #[serde(deserialize_with = "sampling_rate")]
    pub normal: f64,
    /// Of tasks of low priority.
    #[serde(deserialize_with = "sampling_rate")]
    pub low: f64,
}

/// The lowest priority that counts as urgent, as high and as normal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PriorityClassesConfig {
    /// The lowest that counts as urgent.
    pub urgent: i32,
    /// The lowest that counts as high.
    pub high: i32,
    /// The lowest that counts as normal; what is below it is low.
    pub normal: i32,
}

fn sampling_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |rate| {
        let is_rate = (0.01..=1.0).contains(rate);
        expect(is_rate, "expected a number from 0.01 to 1.0")
    })
}
