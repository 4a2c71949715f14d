//! Looks at all channels at regular times, so that a peak between two scrapes is seen.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::registry;

/// Samples the peak usage of every channel each `every`, until it is aborted.
pub async fn run(every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for monitor in registry::monitors() {
            monitor.sample();
        }
    }
}
