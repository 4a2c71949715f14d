//! The queue between code that something happened in and those who want to know.

use std::sync::Arc;

use super::{
    in_process::{EventSubscription, InProcessEvents},
    lifecycle::{LifecycleEvent, Occurrence},
};
use crate::{
    channel::{self, Admission, ChannelSpec, LossySender, Receiver},
    config::SharedEventPublisherConfig,
    telemetry::metrics,
};

const CHANNEL: &str = "lifecycle_events";

/// Most events that are handed on at once.
const BATCH: usize = 256;

/// The handle through which a process publishes; clones publish to the same subscribers.
#[derive(Debug, Clone)]
pub struct EventPublisher {
    component: &'static str,
    queue: LossySender<LifecycleEvent>,
    subscribers: InProcessEvents,
}

impl EventPublisher {
    /// Starts the loop that hands events to `subscribers`, within a tokio runtime. It ends, after
    /// handing on what it has, when the last publisher is dropped.
    pub fn start(
        component: &'static str,
        config: &SharedEventPublisherConfig,
        subscribers: InProcessEvents,
    ) -> Self {
        let spec = ChannelSpec {
            name: CHANNEL,
            component,
            capacity: config.event_queue_buffer_size,
        };
        let (queue, events) = channel::lossy(spec, config.drop_policy);
        tokio::spawn(hand_on(events, subscribers.clone()));
        Self {
            component,
            queue,
            subscribers,
        }
    }

    /// Publishes what just happened. Waits only where the policy of the queue is to block.
    pub async fn publish(&self, occurrence: Occurrence) {
        let event = LifecycleEvent::now(occurrence);
        // The loop ends after the last publisher, or with the runtime: then nobody is left to know.
        let Ok(admission) = self.queue.send(event).await else {
            return;
        };
        let (published, dropped) = match admission {
            Admission::Admitted { displaced } => (1, displaced as u64),
            Admission::Dropped => (0, 1),
        };
        metrics().events_published(CHANNEL, self.component, published);
        metrics().events_dropped(CHANNEL, self.component, dropped);
    }

    /// A subscriber of what is handed on from here on.
    pub fn subscribe(&self) -> EventSubscription {
        self.subscribers.subscribe()
    }
}

async fn hand_on(mut events: Receiver<LifecycleEvent>, subscribers: InProcessEvents) {
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, BATCH).await > 0 {
        for event in batch.drain(..) {
            subscribers.publish(Arc::new(event));
        }
    }
}
