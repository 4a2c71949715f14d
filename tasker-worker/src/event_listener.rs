//! Listens for what concerns a worker, and says what it means.

use pgmq_notify::{ListenEvent, Subscriptions, queue_of_channel};
use serde::Deserialize;
use tasker_shared::announcements::NotifyChannels;
use tasker_shared::channel::{Receiver, Sender};
use tasker_shared::config::ListenerConfig;
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::COMPONENT;
use crate::event_system::WorkerEvent;

/// How many notifications are read at once: what a burst brings is looked at as one.
const BURST: usize = 1000;

/// The channels that every worker listens to, besides those of its queues: what becomes of tasks in
/// its namespaces, or in all where none is named, and which namespaces come and go.
pub(crate) fn subscriptions(channels: &NotifyChannels, namespaces: &[String]) -> Subscriptions {
    let mut names = vec![
        channels.namespace_created.clone(),
        channels.namespace_removed.clone(),
    ];
    if namespaces.is_empty() {
        names.push(channels.task_state.clone());
    }
    let states = namespaces
        .iter()
        .map(|namespace| NotifyChannels::of_namespace(&channels.task_state, namespace));
    names.extend(states);
    Subscriptions::new(names)
}

/// The connection that listens.
pub(crate) struct WorkerListener {
    pub(crate) database: Database,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) config: ListenerConfig,
    pub(crate) notifications: Sender<ListenEvent>,
    pub(crate) shutdown: CancellationToken,
}

impl Supervised for WorkerListener {
    const NAME: &'static str = "worker_listener";

    async fn run(&mut self) {
        let notifications = self.notifications.clone();
        let hand_over = async move |event: ListenEvent| {
            match &event {
                ListenEvent::Connected => metrics().listener_connected(COMPONENT),
                ListenEvent::Notification { channel, .. } => metrics().notification(channel),
            }
            // Refused only when the worker stops.
            let _ = notifications.send(event).await;
        };
        let (subscriptions, stop) = (self.subscriptions.clone(), self.shutdown.clone());
        let listening = self
            .database
            .listen(subscriptions, &self.config, hand_over, stop);
        listening.await;
    }
}

/// Turns notifications into events, one for a burst of the same.
pub(crate) struct WorkerEventClassifier {
    pub(crate) channels: NotifyChannels,
    pub(crate) notifications: Receiver<ListenEvent>,
    pub(crate) events: Sender<WorkerEvent>,
}

impl Supervised for WorkerEventClassifier {
    const NAME: &'static str = "worker_event_classifier";

    async fn run(&mut self) {
        let mut burst = Vec::new();
        while self.notifications.recv_many(&mut burst, BURST).await > 0 {
            let mut events = Vec::new();
            for event in burst
                .drain(..)
                .filter_map(|event| classify(event, &self.channels))
            {
                if !events.contains(&event) {
                    events.push(event);
                }
            }
            for event in events {
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What a notification means for a worker; `None` where it means nothing.
fn classify(event: ListenEvent, channels: &NotifyChannels) -> Option<WorkerEvent> {
    let ListenEvent::Notification { channel, payload } = event else {
        return Some(WorkerEvent::ListenerConnected);
    };
    if channel == channels.namespace_created {
        return Some(WorkerEvent::NamespaceCreated);
    }
    if channel == channels.namespace_removed {
        return Some(WorkerEvent::NamespacesDue);
    }
    if is_of(&channel, &channels.task_state) {
        return cancelled_tasks(&payload).map(WorkerEvent::TasksCancelled);
    }
    queue_of_channel(&channel).map(|_| WorkerEvent::StepsEnqueued)
}

/// Whether the channel is this one, or this one's of a namespace.
fn is_of(channel: &str, global: &str) -> bool {
    let rest = channel.strip_prefix(global);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[derive(Deserialize)]
struct TaskState {
    task_state: String,
    task_uuids: Vec<TaskUuid>,
}

fn cancelled_tasks(payload: &str) -> Option<Vec<TaskUuid>> {
    match serde_json::from_str::<TaskState>(payload) {
        Ok(change) if change.task_state == "cancelled" => Some(change.task_uuids),
        Ok(_) => None,
        Err(error) => {
            metrics().notification_ignored(COMPONENT);
            debug!(%error, "a notification about tasks was not understood");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::channel::{ChannelSpec, bounded};
    use uuid::Uuid;

    use super::*;

    fn notification(channel: &str, payload: &str) -> ListenEvent {
        ListenEvent::Notification {
            channel: channel.to_owned(),
            payload: payload.to_owned(),
        }
    }

    const NAMESPACE_CREATED: &str = "tasker_namespace_created";
    const TASK_STATE: &str = "tasker_task_state";

    fn channels() -> NotifyChannels {
        NotifyChannels::with_prefix("tasker")
    }

    #[test]
    fn a_notification_means_what_its_channel_and_payload_say() {
        let task = TaskUuid(Uuid::nil());
        let state = |state| format!(r#"{{"task_state": "{state}", "task_uuids": ["{task}"]}}"#);
        for (event, meaning) in [
            (ListenEvent::Connected, Some(WorkerEvent::ListenerConnected)),
            (
                notification("pgmq.q_worker_a_queue.INSERT", ""),
                Some(WorkerEvent::StepsEnqueued),
            ),
            (
                notification(NAMESPACE_CREATED, r#"{"namespace": "a"}"#),
                Some(WorkerEvent::NamespaceCreated),
            ),
            (
                notification("tasker_namespace_removed", r#"{"namespace": "a"}"#),
                Some(WorkerEvent::NamespacesDue),
            ),
            (
                notification(TASK_STATE, &state("cancelled")),
                Some(WorkerEvent::TasksCancelled(vec![task])),
            ),
            (
                notification("tasker_task_state.shop", &state("cancelled")),
                Some(WorkerEvent::TasksCancelled(vec![task])),
            ),
            (notification(TASK_STATE, &state("complete")), None),
            (notification(TASK_STATE, "not json"), None),
            (notification("somebody_elses", ""), None),
        ] {
            assert_eq!(classify(event.clone(), &channels()), meaning, "{event:?}");
        }
    }

    #[tokio::test]
    async fn a_burst_about_queues_is_one_event() {
        let spec = ChannelSpec {
            name: "test",
            component: "test",
            capacity: 100,
        };
        let (notify, notifications) = bounded(spec);
        let (events, mut meanings) = bounded(spec);
        for queue in ["a", "b", "a"] {
            let channel = format!("pgmq.q_worker_{queue}_queue.INSERT");
            notify.send(notification(&channel, "")).await.unwrap();
        }
        drop(notify);

        let mut classifier = WorkerEventClassifier {
            channels: channels(),
            notifications,
            events,
        };
        classifier.run().await;

        assert_eq!(meanings.try_recv(), Some(WorkerEvent::StepsEnqueued));
        assert_eq!(meanings.try_recv(), None);
    }
}
