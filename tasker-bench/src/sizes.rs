//! How much of everything is measured.

use std::time::Duration;

use serde_json::{Value, json};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Tasks of one client, one after the other.
    pub(crate) samples: u32,
    /// Tasks with many steps, one after the other.
    pub(crate) wide_samples: u32,
    /// Steps beside each other.
    pub(crate) widths: [u32; 2],
    /// Tasks at once.
    pub(crate) bursts: [u32; 2],
    /// Tasks in a batch of the submit rate.
    pub(crate) batch: u32,
    /// How long the sustained load goes on.
    pub(crate) sustained: Duration,
    /// How long each submit rate is measured.
    pub(crate) submit: Duration,
    /// How long each load of `scale` goes on.
    pub(crate) scale: Duration,
    /// How long idleness is measured.
    pub(crate) idle: Duration,
    /// Days of history that are made.
    pub(crate) days: u32,
    /// Tasks of each.
    pub(crate) tasks_a_day: u32,
    /// How often the throughput is measured with deletion, and as often without.
    pub(crate) turns: u32,
}

impl Sizes {
    /// What the figures of the documentation were measured with.
    pub(crate) const fn full() -> Self {
        Self {
            samples: 300,
            wide_samples: 3,
            widths: [100, 10_000],
            bursts: [1_000, 10_000],
            batch: 1_000,
            sustained: Duration::from_secs(10),
            submit: Duration::from_millis(700),
            scale: Duration::from_secs(4),
            idle: Duration::from_secs(10),
            days: 30,
            tasks_a_day: 2_000,
            turns: 5,
        }
    }

    /// Just enough to see that everything is measured.
    pub(crate) const fn quick() -> Self {
        Self {
            samples: 10,
            wide_samples: 1,
            widths: [10, 100],
            bursts: [50, 200],
            batch: 50,
            sustained: Duration::from_millis(500),
            submit: Duration::from_millis(50),
            scale: Duration::from_millis(200),
            idle: Duration::from_millis(500),
            days: 12,
            tasks_a_day: 100,
            turns: 1,
        }
    }

    /// For the description of the environment.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "samples": self.samples,
            "widths": self.widths,
            "bursts": self.bursts,
            "batch": self.batch,
            "sustained_ms": self.sustained.as_millis(),
        })
    }
}
