//! Turns notifications into typed events and sends each to the system that handles it.
//!
//! A payload is a hint from anyone who may use the database, so nothing in it is trusted: what
//! cannot be read is counted and dropped. A full channel of readiness events never holds the others
//! up for long and loses nothing: the processor is told to look for itself instead.

use std::time::Duration;

use pgmq_notify::ListenEvent;
use serde::de::DeserializeOwned;
use tasker_shared::announcer::{NAMESPACE_CREATED, TASK_READY, TIMER_SET};
use tasker_shared::channel::{NotSent, Receiver, Sender};
use tasker_shared::config::TaskReadinessEventChannelRetryConfig;
use tasker_shared::telemetry::metrics;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::backoff::jittered;
use crate::inbox::Inbox;
use crate::signals::Signals;
use crate::task_readiness::events::{OrchestrationEvent, Received, TaskReadinessEvent};

/// The channels that are listened to.
pub const CHANNELS: [&str; 3] = [TASK_READY, TIMER_SET, NAMESPACE_CREATED];

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

/// Knows which event a notification is.
#[derive(Debug, Clone, Copy)]
pub struct ReadinessEventClassifier;

impl ReadinessEventClassifier {
    /// The event that a notification on `channel` tells of.
    ///
    /// # Errors
    /// Why it tells of none.
    pub fn classify(channel: &str, payload: &str) -> Result<Classified, Ignored> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(Ignored::Oversized(payload.len()));
        }
        Ok(match channel {
            TASK_READY => Classified::Readiness(TaskReadinessEvent::TaskReady(read(payload)?)),
            NAMESPACE_CREATED => {
                Classified::Readiness(TaskReadinessEvent::NamespaceCreated(read(payload)?))
            }
            TIMER_SET => Classified::Orchestration(OrchestrationEvent::TimerSet),
            _ => return Err(Ignored::Foreign),
        })
    }
}

fn read<T: DeserializeOwned>(payload: &str) -> Result<T, Ignored> {
    Ok(serde_json::from_str(payload)?)
}

/// Where classified events go.
pub(crate) struct Routes {
    pub(crate) readiness: Sender<Received<TaskReadinessEvent>>,
    pub(crate) orchestration: Sender<OrchestrationEvent>,
    /// How long a send to the channel of readiness events waits for a place.
    pub(crate) send_timeout: Duration,
    /// How often, and after which pauses, such a send is tried again.
    pub(crate) retry: TaskReadinessEventChannelRetryConfig,
}

/// Classifies and routes until `stop`.
pub(crate) async fn run(
    notifications: Inbox<Received<ListenEvent>>,
    routes: &Routes,
    signals: &Signals,
    stop: CancellationToken,
) {
    let mut notifications = notifications.open().await;
    let mut batch = Vec::new();
    while look(&mut notifications, &mut batch, &stop).await {
        let (orchestration, readiness) = sort(&mut batch);
        // The others first: they must not wait behind a full channel of readiness events.
        for event in orchestration {
            if routes.orchestration.send(event).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = hand_over(readiness, routes, signals) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Waits for notifications; false when none will come.
async fn look(
    notifications: &mut Receiver<Received<ListenEvent>>,
    batch: &mut Vec<Received<ListenEvent>>,
    stop: &CancellationToken,
) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        count = notifications.recv_many(batch, NOTIFICATIONS_PER_LOOK) => count > 0,
    }
}

/// Takes a batch apart by the channels its events go to.
fn sort(
    batch: &mut Vec<Received<ListenEvent>>,
) -> (Vec<OrchestrationEvent>, Vec<Received<TaskReadinessEvent>>) {
    let (mut orchestration, mut readiness) = (Vec::new(), Vec::new());
    for Received { what, at } in batch.drain(..) {
        match understand(&what) {
            Some(Classified::Orchestration(event)) => orchestration.push(event),
            Some(Classified::Readiness(what)) => readiness.push(Received { what, at }),
            None => {}
        }
    }
    (orchestration, readiness)
}

fn understand(event: &ListenEvent) -> Option<Classified> {
    let classified = match event {
        ListenEvent::Connected => Ok(Classified::Orchestration(
            OrchestrationEvent::ListenerConnected,
        )),
        ListenEvent::Notification { channel, payload } => {
            metrics().notification(channel);
            ReadinessEventClassifier::classify(channel, payload)
                .inspect_err(|error| debug!(%error, channel, "ignored a notification"))
        }
    };
    match classified {
        Ok(event) => {
            metrics().readiness_event_received(event.event_type());
            Some(event)
        }
        Err(ignored) => {
            metrics().readiness_event_received(ignored.event_type());
            None
        }
    }
}

/// Sends readiness events; from the first that finds no place in spite of all retries on, the
/// processor is told to look instead, which serves the rest of the batch as well.
async fn hand_over(events: Vec<Received<TaskReadinessEvent>>, routes: &Routes, signals: &Signals) {
    for event in events {
        if !sent(event, routes).await {
            signals.look_for_ready_tasks();
            return;
        }
    }
}

async fn sent(event: Received<TaskReadinessEvent>, routes: &Routes) -> bool {
    let mut event = event;
    let mut pause = routes.retry.backoff();
    for attempt in 0..=routes.retry.max_retries {
        if attempt > 0 {
            sleep(jittered(pause)).await;
            pause *= 2;
        }
        event = match routes
            .readiness
            .send_timeout(event, routes.send_timeout)
            .await
        {
            Ok(()) => return true,
            Err(NotSent::Closed(_)) => return false,
            Err(NotSent::Full(event)) => event,
        };
    }
    warn!(
        retries = routes.retry.max_retries,
        "the channel of readiness events stayed full; looking for ready tasks instead"
    );
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tasker_shared::announcer::TASK_STATE;
    use tasker_shared::channel::{self, ChannelSpec};
    use tasker_shared::ids::TaskUuid;
    use uuid::Uuid;

    use super::*;
    use crate::commands::TriggeredBy;
    use crate::task_readiness::events::TaskReadyEvent;

    fn task_ready(payload: &str) -> TaskReadyEvent {
        match ReadinessEventClassifier::classify(TASK_READY, payload) {
            Ok(Classified::Readiness(TaskReadinessEvent::TaskReady(event))) => event,
            other => panic!("{payload} is {other:?}"),
        }
    }

    fn event(task_uuid: TaskUuid) -> TaskReadyEvent {
        task_ready(&json!({"task_uuids": [task_uuid], "triggered_by": "task_start"}).to_string())
    }

    proptest! {
        #[test]
        fn what_is_announced_of_ready_tasks_is_read(
            uuids in prop::collection::vec(any::<u128>(), 0..100),
            namespace in prop::option::of("[a-z][a-z0-9_]{0,28}"),
            by_start in any::<bool>(),
        ) {
            let triggered_by = if by_start {
                TriggeredBy::TaskStart
            } else {
                TriggeredBy::StepTransition
            };
            let task_uuids: Vec<_> = uuids.into_iter().map(Uuid::from_u128).map(TaskUuid).collect();
            let payload = json!({
                "namespace": namespace,
                "task_uuids": task_uuids,
                "count": task_uuids.len(),
                "triggered_by": triggered_by,
            });

            let event = task_ready(&payload.to_string());

            prop_assert_eq!(event.task_uuids, task_uuids);
            prop_assert_eq!(event.namespace, namespace);
            prop_assert_eq!(event.triggered_by, triggered_by);
        }

        #[test]
        fn no_payload_on_any_channel_is_more_than_an_event_or_ignored(
            channel in prop_oneof![
                Just(TASK_READY.to_owned()),
                Just(NAMESPACE_CREATED.to_owned()),
                Just(TIMER_SET.to_owned()),
                ".{0,64}",
            ],
            payload in prop_oneof![".{0,200}", "\\{\"[a-z_]{1,12}\": .{0,40}\\}"],
        ) {
            let known = CHANNELS.contains(&channel.as_str());
            let classified = ReadinessEventClassifier::classify(&channel, &payload);
            prop_assert_eq!(known, !matches!(classified, Err(Ignored::Foreign)));
        }
    }

    #[test]
    fn a_payload_without_what_it_must_have_is_malformed() {
        for (channel, payload) in [
            (TASK_READY, ""),
            (TASK_READY, "{}"),
            (
                TASK_READY,
                r#"{"task_uuids": ["x"], "triggered_by": "task_start"}"#,
            ),
            (
                TASK_READY,
                r#"{"task_uuids": [], "triggered_by": "a_wish"}"#,
            ),
            (NAMESPACE_CREATED, "{}"),
            (NAMESPACE_CREATED, r#"{"namespace": 1}"#),
        ] {
            let classified = ReadinessEventClassifier::classify(channel, payload);
            assert!(
                matches!(classified, Err(Ignored::Malformed(_))),
                "{payload}: {classified:?}"
            );
        }
    }

    #[test]
    fn a_payload_longer_than_postgresql_sends_is_not_even_read() {
        let payload = json!({"triggered_by": "task_start", "padding": "x".repeat(8000)});
        assert!(matches!(
            ReadinessEventClassifier::classify(TASK_READY, &payload.to_string()),
            Err(Ignored::Oversized(_))
        ));
    }

    #[test]
    fn a_channel_that_is_not_listened_to_is_foreign() {
        for channel in [TASK_STATE, "pgmq.q_worker_a_queue.INSERT", ""] {
            assert!(matches!(
                ReadinessEventClassifier::classify(channel, "{}"),
                Err(Ignored::Foreign)
            ));
        }
    }

    #[test]
    fn a_field_of_a_later_version_does_not_make_a_payload_malformed() {
        let event = task_ready(r#"{"triggered_by": "task_start", "mood": "good"}"#);
        assert_eq!(event.triggered_by, TriggeredBy::TaskStart);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_stays_full_turns_events_into_a_look() {
        let spec = |name| ChannelSpec {
            name,
            component: "test",
            capacity: 1,
        };
        let (readiness, _nobody_reads) = channel::bounded(spec("readiness"));
        let (orchestration, mut others) = channel::bounded(spec("orchestration"));
        let (notifications, inbox) = channel::bounded(ChannelSpec {
            name: "notifications",
            component: "test",
            capacity: 10,
        });
        let routes = Routes {
            readiness,
            orchestration,
            send_timeout: Duration::from_secs(1),
            retry: tasker_shared::config::EventSystemsConfig::default()
                .task_readiness
                .event_channel,
        };
        let signals = Signals::default();
        let received = |channel: &str, payload: &str| Received {
            what: ListenEvent::Notification {
                channel: channel.to_owned(),
                payload: payload.to_owned(),
            },
            at: tokio::time::Instant::now(),
        };
        let ready = r#"{"triggered_by": "task_start"}"#;
        for _ in 0..3 {
            notifications
                .send(received(TASK_READY, ready))
                .await
                .unwrap();
        }
        notifications.send(received(TIMER_SET, "{}")).await.unwrap();
        let classifier = run(
            Inbox::new(inbox),
            &routes,
            &signals,
            CancellationToken::new(),
        );
        let looks = async {
            assert_eq!(others.recv().await, Some(OrchestrationEvent::TimerSet));
            signals.ready_tasks().await;
        };

        tokio::select! {
            () = classifier => panic!("the classifier ended"),
            () = looks => {}
        }
    }

    #[test]
    fn a_coalesced_event_names_its_first_task() {
        let task_uuid = TaskUuid(Uuid::from_u128(7 << 16));
        let command = crate::commands::OrchestrationCommand::from(event(task_uuid));
        assert!(matches!(
            command,
            crate::commands::OrchestrationCommand::ProcessTaskReadiness {
                task_uuid: Some(first),
                ..
            } if first == task_uuid
        ));
    }
}
