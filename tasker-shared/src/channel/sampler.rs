//! Looks at all channels at regular times, so that a peak between two scrapes is seen.

use tokio::time::{MissedTickBehavior, interval};

use super::registry;
use crate::config::OverflowMetricsConfig;

/// Samples the peak usage of every channel each `saturation_check_interval_seconds`, until it is
/// aborted.
pub async fn run(config: OverflowMetricsConfig) {
    let mut ticks = interval(config.saturation_check_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for monitor in registry::monitors() {
            monitor.sample();
        }
    }
}
