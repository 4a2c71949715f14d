//! Turns notifications into typed events and sends each to the system that handles it.
//!
//! A payload is a hint from anyone who may use the database, so nothing in it is trusted: what
//! cannot be read is counted and dropped. A full channel never holds another up and loses nothing:
//! the loops that act are made to look for themselves instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use pgmq_notify::ListenEvent;
use serde::de::DeserializeOwned;
use tasker_shared::announcements::NotifyChannels;
use tasker_shared::channel::{NotSent, Receiver, SendRetry, Sender};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::task_readiness::events::{OrchestrationEvent, Received, TaskReadinessEvent};
use crate::wakeups::Wakeups;

/// No notification of PostgreSQL is longer; a payload that is came from elsewhere.
const MAX_PAYLOAD_BYTES: usize = 8000;

/// Notifications classified before the channel is looked at again.
const NOTIFICATIONS_PER_LOOK: usize = 1000;

/// A notification, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classified {
    /// For the system of readiness events.
    Readiness(TaskReadinessEvent),
    /// For the system of the orchestrator's other events.
    Orchestration(OrchestrationEvent),
}

impl Classified {
    /// The word for its type, in metrics.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Readiness(TaskReadinessEvent::TaskReady(_)) => "task_ready",
            Self::Readiness(TaskReadinessEvent::TaskStateChange(_)) => "task_state_change",
            Self::Readiness(TaskReadinessEvent::NamespaceCreated(_)) => "namespace_created",
            Self::Orchestration(OrchestrationEvent::TimerSet) => "timer_set",
            Self::Orchestration(OrchestrationEvent::ListenerConnected) => "listener_connected",
        }
    }
}

/// Why a notification is ignored.
#[derive(Debug, thiserror::Error)]
pub enum Ignored {
    /// Its channel is none that is listened to.
    #[error("the channel is not one of ours")]
    Foreign,
    /// It is longer than PostgreSQL's limit.
    #[error("the payload has {0} bytes")]
    Oversized(usize),
    /// Its payload is not what the channel carries.
    #[error("the payload cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Ignored {
    /// The word for the reason, in metrics.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Oversized(_) => "oversized",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// What a channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    TaskReady,
    TaskState,
    NamespaceCreated,
    TimerSet,
}

/// Knows which event a notification is, by the configured names of channels.
#[derive(Debug, Clone)]
pub struct ReadinessEventClassifier {
    channels: Arc<BTreeMap<String, Carries>>,
}

impl ReadinessEventClassifier {
    /// Knows the channels of an orchestrator that serves `namespaces`: what is ready and what
    /// becomes of tasks in each of them, or in all where none is named.
    pub fn new(names: &NotifyChannels, namespaces: &[String]) -> Self {
        let mut channels = BTreeMap::from([
            (names.timer_set.clone(), Carries::TimerSet),
            (names.namespace_created.clone(), Carries::NamespaceCreated),
        ]);
        for (global, carries) in [
            (&names.task_ready, Carries::TaskReady),
            (&names.task_state, Carries::TaskState),
        ] {
            if namespaces.is_empty() {
                channels.insert(global.clone(), carries);
            }
            for namespace in namespaces {
                channels.insert(NotifyChannels::of_namespace(global, namespace), carries);
            }
        }
        Self {
            channels: Arc::new(channels),
        }
    }

    /// The channels that are to be listened to.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.channels.keys().map(String::as_str)
    }

    /// The event that a notification on `channel` announces.
    ///
    /// # Errors
    /// Why it announces none.
    pub fn classify(&self, channel: &str, payload: &str) -> Result<Classified, Ignored> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(Ignored::Oversized(payload.len()));
        }
        let carries = self.channels.get(channel).ok_or(Ignored::Foreign)?;
        Ok(match carries {
            Carries::TaskReady => {
                Classified::Readiness(TaskReadinessEvent::TaskReady(read(payload)?))
            }
            Carries::TaskState => {
                Classified::Readiness(TaskReadinessEvent::TaskStateChange(read(payload)?))
            }
            Carries::NamespaceCreated => {
                Classified::Readiness(TaskReadinessEvent::NamespaceCreated(read(payload)?))
            }
            Carries::TimerSet => Classified::Orchestration(OrchestrationEvent::TimerSet),
        })
    }
}

fn read<T: DeserializeOwned>(payload: &str) -> Result<T, Ignored> {
    Ok(serde_json::from_str(payload)?)
}

/// Where classified events go.
pub(crate) struct Routes {
    pub(crate) classifier: ReadinessEventClassifier,
    pub(crate) readiness: Sender<Received<TaskReadinessEvent>>,
    pub(crate) orchestration: Sender<OrchestrationEvent>,
    /// How long a send to the channel of readiness events waits, and how often it is tried again.
    pub(crate) retry: SendRetry,
}

/// Classifies what comes, and routes it.
pub(crate) struct Classifying {
    pub(crate) notifications: Receiver<Received<ListenEvent>>,
    pub(crate) routes: Routes,
    pub(crate) wakeups: Wakeups,
    pub(crate) stop: CancellationToken,
}

impl Supervised for Classifying {
    const NAME: &'static str = "readiness_event_classifier";

    async fn run(&mut self) {
        let Self {
            notifications,
            routes,
            wakeups,
            stop,
        } = self;
        let mut batch = Vec::new();
        // Readiness events on their way to a channel that may be full. Nothing else waits for them.
        let mut on_their_way: Option<BoxFuture<'_, ()>> = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = arrived(&mut on_their_way) => continue,
                count = notifications.recv_many(&mut batch, NOTIFICATIONS_PER_LOOK) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            let (orchestration, readiness) = sort(&mut batch, &routes.classifier);
            for event in orchestration {
                match routes.orchestration.try_send(event) {
                    Ok(()) => {}
                    Err(NotSent::Closed(_)) => return,
                    Err(_full) => wakeups.wake_all(),
                }
            }
            match &on_their_way {
                // A look at all that is ready serves these as well.
                Some(_) if !readiness.is_empty() => wakeups.wake_claims(),
                Some(_) => {}
                None => on_their_way = Some(Box::pin(hand_over(readiness, routes, wakeups))),
            }
        }
    }
}

/// Returns when the events that are on their way have arrived.
async fn arrived(on_their_way: &mut Option<BoxFuture<'_, ()>>) {
    match on_their_way {
        Some(events) => events.await,
        None => return std::future::pending().await,
    }
    *on_their_way = None;
}

/// Takes a batch apart by the channels its events go to.
fn sort(
    batch: &mut Vec<Received<ListenEvent>>,
    classifier: &ReadinessEventClassifier,
) -> (Vec<OrchestrationEvent>, Vec<Received<TaskReadinessEvent>>) {
    let (mut orchestration, mut readiness) = (Vec::new(), Vec::new());
    for Received { what, at } in batch.drain(..) {
        match understand(&what, classifier) {
            Some(Classified::Orchestration(event)) => orchestration.push(event),
            Some(Classified::Readiness(what)) => readiness.push(Received { what, at }),
            None => {}
        }
    }
    (orchestration, readiness)
}

fn understand(event: &ListenEvent, classifier: &ReadinessEventClassifier) -> Option<Classified> {
    let understood = match event {
        ListenEvent::Connected => Ok(Classified::Orchestration(
            OrchestrationEvent::ListenerConnected,
        )),
        ListenEvent::Notification { channel, payload } => {
            metrics().notification(channel);
            classifier
                .classify(channel, payload)
                .inspect_err(|error| debug!(%error, channel, "ignored a notification"))
        }
    };
    match understood {
        Ok(event) => {
            metrics().readiness_event_received(event.event_type());
            Some(event)
        }
        Err(ignored) => {
            metrics().readiness_event_received(ignored.event_type());
            metrics().notification_ignored("orchestrator");
            None
        }
    }
}

/// Sends readiness events; from the first that finds no place in spite of all retries on, the
/// processor is told to look instead, which serves the rest of the batch as well.
async fn hand_over(events: Vec<Received<TaskReadinessEvent>>, routes: &Routes, wakeups: &Wakeups) {
    for event in events {
        if !sent(event, routes).await {
            wakeups.wake_claims();
            return;
        }
    }
}

async fn sent(event: Received<TaskReadinessEvent>, routes: &Routes) -> bool {
    let sent = routes.readiness.send_retry(event, routes.retry).await;
    if let Err(NotSent::RetriesExceeded(_)) = &sent {
        warn!(
            retries = routes.retry.max_retries,
            "the channel of readiness events stayed full; looking for ready tasks instead"
        );
    }
    sent.is_ok()
}

#[cfg(test)]
mod tests;
