//! The broadcast that subscribers in the process receive events from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lifecycle::LifecycleEvent;
use crate::{
    channel::{self, BroadcastReceiver, BroadcastSender, ChannelSpec, NotReceived},
    config::{SharedEventPublisherConfig, WorkerInProcessEventsConfig},
    telemetry::metrics,
};

const CHANNEL: &str = "in_process_events";

/// Events for code in the process. Clones are the same broadcast.
#[derive(Debug, Clone)]
pub struct InProcessEvents {
    component: &'static str,
    sender: BroadcastSender<Told>,
    lost: Arc<Mutex<Lost>>,
}

/// What subscribers get.
#[derive(Debug, Clone)]
struct Told {
    /// What happened; nothing where it only says that events got lost.
    event: Option<Arc<LifecycleEvent>>,
    lost: Lost,
}

/// How many events got lost on their way to the broadcast, ever, less those messages that report
/// nothing else: a subscriber that misses one counts it as an event.
type Lost = i64;

/// What one subscriber receives.
#[derive(Debug)]
pub struct EventSubscription {
    component: &'static str,
    receiver: BroadcastReceiver<Told>,
    /// The losses it knows of.
    lost: Lost,
    /// An event that is given out after a loss.
    held: Option<Arc<LifecycleEvent>>,
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
        Self {
            component,
            sender,
            lost: Arc::default(),
        }
    }

    /// Hands the event to all who subscribe now; never waits.
    pub(super) fn publish(&self, event: Arc<LifecycleEvent>) {
        let lost = self.lost();
        let missed = self.sender.send(Told {
            event: Some(event),
            lost: *lost,
        });
        drop(lost);
        metrics().events_published(CHANNEL, self.component, 1);
        metrics().events_dropped(CHANNEL, self.component, missed as u64);
    }

    /// Reports to all present subscribers that they missed so many events.
    pub(super) fn tell_missed(&self, count: u64) {
        let mut lost = self.lost();
        *lost += Lost::try_from(count).unwrap_or(Lost::MAX) - 1;
        let missed = self.sender.send(Told {
            event: None,
            lost: *lost,
        });
        drop(lost);
        metrics().events_dropped(CHANNEL, self.component, missed as u64);
    }

    /// Held while a message is sent, so that no later one reports fewer.
    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscriber of what is published from here on.
    pub fn subscribe(&self) -> EventSubscription {
        metrics().event_subscribers_changed(self.component, 1);
        let lost = self.lost();
        EventSubscription {
            component: self.component,
            receiver: self.sender.subscribe(),
            lost: *lost,
            held: None,
        }
    }

    /// Subscribers at the moment.
    pub fn count(&self) -> usize {
        self.sender.subscribers()
    }

    /// Whether anybody subscribes; where nobody does, no event need be made.
    pub fn has_subscribers(&self) -> bool {
        self.count() > 0
    }
}

impl EventSubscription {
    /// The next event, or how many were missed before it; 0 where that is unknown. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<LifecycleEvent>, NotReceived> {
        if let Some(event) = self.held.take() {
            return Ok(event);
        }
        let Told { event, lost } = self.receiver.recv().await?;
        let missed = lost - self.lost;
        self.lost = lost;
        match event {
            Some(event) if missed <= 0 => Ok(event),
            Some(event) => {
                self.held = Some(event);
                Err(NotReceived::Lagged(missed.unsigned_abs()))
            }
            None => Err(NotReceived::Lagged((missed + 1).unsigned_abs())),
        }
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        metrics().event_subscribers_changed(self.component, -1);
    }
}
