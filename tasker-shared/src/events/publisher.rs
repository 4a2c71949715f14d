//! The queue between code that something happened in and its subscribers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    in_process::{EventSubscription, InProcessEvents},
    lifecycle::LifecycleEvent,
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
    /// Events that the queue dropped and subscribers do not know of yet.
    dropped: Arc<AtomicU64>,
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
        let dropped = Arc::<AtomicU64>::default();
        tokio::spawn(hand_on(events, subscribers.clone(), Arc::clone(&dropped)));
        Self {
            component,
            queue,
            subscribers,
            dropped,
        }
    }

    /// Whether anybody wants to know; where nobody does, no event need be made.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers.has_subscribers()
    }

    /// Subscribers at the moment.
    pub fn subscribers(&self) -> usize {
        self.subscribers.count()
    }

    /// Publishes what just happened. Waits only where the policy of the queue is to block.
    pub async fn publish(&self, event: LifecycleEvent) {
        // The loop ends after the last publisher, or with the runtime: then nobody is left to know.
        let Ok(admission) = self.queue.send(event).await else {
            metrics().events_dropped(CHANNEL, self.component, 1);
            return;
        };
        let (published, dropped) = match admission {
            Admission::Admitted { displaced } => (1, displaced as u64),
            Admission::Dropped => (0, 1),
        };
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        metrics().events_published(CHANNEL, self.component, published);
        metrics().events_dropped(CHANNEL, self.component, dropped);
    }

    /// Tells subscribers that so many events could not be published; 0 where that is unknown.
    pub fn missed(&self, count: u64) {
        metrics().events_dropped(CHANNEL, self.component, count);
        self.subscribers.tell_missed(count);
    }

    /// A subscriber of what is handed on from here on.
    pub fn subscribe(&self) -> EventSubscription {
        self.subscribers.subscribe()
    }
}

async fn hand_on(
    mut events: Receiver<LifecycleEvent>,
    subscribers: InProcessEvents,
    dropped: Arc<AtomicU64>,
) {
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, BATCH).await > 0 {
        for event in batch.drain(..) {
            subscribers.publish(Arc::new(event));
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            subscribers.tell_missed(dropped);
        }
    }
}
