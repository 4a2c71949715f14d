//! The broadcast that subscribers in the process receive events from.

use std::sync::Arc;

use super::lifecycle::LifecycleEvent;
use crate::{
    channel::{self, BroadcastReceiver, BroadcastSender, ChannelMonitor, ChannelSpec, NotReceived},
    config::{SharedEventPublisherConfig, WorkerInProcessEventsConfig},
    telemetry::metrics,
};

const CHANNEL: &str = "in_process_events";

/// Events for code in the process. Clones are the same broadcast.
#[derive(Debug, Clone)]
pub struct InProcessEvents {
    component: &'static str,
    sender: BroadcastSender<Arc<LifecycleEvent>>,
}

/// What one subscriber receives.
#[derive(Debug)]
pub struct EventSubscription(BroadcastReceiver<Arc<LifecycleEvent>>);

impl InProcessEvents {
    /// The broadcast of a worker's process.
    pub fn of_worker(component: &'static str, config: &WorkerInProcessEventsConfig) -> Self {
        Self::new(component, config.broadcast_buffer_size)
    }

    /// The broadcast of any other process: a subscriber may be as far behind as the publisher.
    pub fn of_publisher(component: &'static str, config: &SharedEventPublisherConfig) -> Self {
        Self::new(component, config.event_queue_buffer_size)
    }

    fn new(component: &'static str, capacity: usize) -> Self {
        let sender = channel::broadcast(ChannelSpec {
            name: CHANNEL,
            component,
            capacity,
        });
        Self { component, sender }
    }

    /// Hands the event to all who subscribe now; never waits.
    pub fn publish(&self, event: Arc<LifecycleEvent>) {
        let missed = self.sender.send(event);
        metrics().events_published(CHANNEL, self.component, 1);
        metrics().events_dropped(CHANNEL, self.component, missed as u64);
    }

    /// A subscriber of what is published from here on.
    pub fn subscribe(&self) -> EventSubscription {
        EventSubscription(self.sender.subscribe())
    }

    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        self.sender.monitor()
    }
}

impl EventSubscription {
    /// The next event, or how many were missed before it. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<LifecycleEvent>, NotReceived> {
        self.0.recv().await
    }
}
