//! The orchestrator's listening connection.

use pgmq_notify::{ListenEvent, Subscriptions};
use tasker_shared::channel::Sender;
use tasker_shared::config::{ListenerConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::task_readiness::events::Received;

/// The name of this listener in metrics.
const LISTENER: &str = "orchestrator";

/// Hears what PostgreSQL announces about readiness, and passes it on as it comes.
pub(crate) struct TaskReadinessListener {
    database: Database,
    config: ListenerConfig,
    subscriptions: Subscriptions,
    notifications: Sender<Received<ListenEvent>>,
    stop: CancellationToken,
}

impl TaskReadinessListener {
    /// Listens to the channels that are subscribed to.
    pub(crate) fn new(
        database: &Database,
        config: &TaskerConfig,
        subscriptions: Subscriptions,
        notifications: Sender<Received<ListenEvent>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            database: database.clone(),
            config: config.event_systems.listener.clone(),
            subscriptions,
            notifications,
            stop,
        }
    }
}

impl Supervised for TaskReadinessListener {
    const NAME: &'static str = "task_readiness_listener";

    /// A full channel holds back PostgreSQL's queue; nothing is dropped.
    async fn run(&mut self) {
        let notifications = self.notifications.clone();
        let sink = async move |what: ListenEvent| {
            if what == ListenEvent::Connected {
                metrics().listener_connected(LISTENER);
            }
            let at = Instant::now();
            // Refused only when the orchestrator stops.
            let _ = notifications.send(Received { what, at }).await;
        };
        let (subscriptions, stop) = (self.subscriptions.clone(), self.stop.clone());
        let listening = self
            .database
            .listen(subscriptions, &self.config, sink, stop);
        listening.await;
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod tests;
