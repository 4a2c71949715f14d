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
    sender: BroadcastSender<Told>,
}

/// What subscribers are told.
#[derive(Debug, Clone)]
enum Told {
    Event(Arc<LifecycleEvent>),
    /// So many events got lost on their way to the broadcast.
    Missed(u64),
}

/// What one subscriber receives.
#[derive(Debug)]
pub struct EventSubscription {
    component: &'static str,
    receiver: BroadcastReceiver<Told>,
}

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
    pub(super) fn publish(&self, event: Arc<LifecycleEvent>) {
        let missed = self.sender.send(Told::Event(event));
        metrics().events_published(CHANNEL, self.component, 1);
        metrics().events_dropped(CHANNEL, self.component, missed as u64);
    }

    /// Tells all who subscribe now that they missed so many events.
    pub(super) fn tell_missed(&self, count: u64) {
        self.sender.send(Told::Missed(count));
    }

    /// A subscriber of what is published from here on.
    pub fn subscribe(&self) -> EventSubscription {
        metrics().event_subscribers_changed(self.component, 1);
        EventSubscription {
            component: self.component,
            receiver: self.sender.subscribe(),
        }
    }

    /// Whether anybody subscribes; where nobody does, no event need be made.
    pub fn has_subscribers(&self) -> bool {
        self.sender.subscribers() > 0
    }

    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        self.sender.monitor()
    }
}

impl EventSubscription {
    /// The next event, or how many were missed before it; 0 where that is unknown. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<LifecycleEvent>, NotReceived> {
        match self.receiver.recv().await? {
            Told::Event(event) => Ok(event),
            Told::Missed(count) => Err(NotReceived::Lagged(count)),
        }
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        metrics().event_subscribers_changed(self.component, -1);
    }
}
