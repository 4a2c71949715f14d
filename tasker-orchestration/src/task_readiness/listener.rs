//! The orchestrator's listening connection.

use pgmq_notify::{ListenEvent, ListenerSettings, Subscriptions, listener};
use tasker_shared::channel::Sender;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::task_readiness::classifier::ReadinessEventClassifier;
use crate::task_readiness::events::Received;

/// The name of this listener in metrics.
const LISTENER: &str = "orchestrator";

/// Hears what PostgreSQL announces about readiness, and passes it on as it comes.
#[derive(Debug, Clone)]
pub(crate) struct TaskReadinessListener {
    database: Database,
    settings: ListenerSettings,
    subscriptions: Subscriptions,
}

impl TaskReadinessListener {
    /// Listens for what the classifier knows.
    pub(crate) fn new(
        database: &Database,
        config: &TaskerConfig,
        classifier: &ReadinessEventClassifier,
    ) -> Self {
        Self {
            database: database.clone(),
            settings: (&config.event_systems.listener).into(),
            subscriptions: Subscriptions::new(classifier.channels().map(str::to_owned)),
        }
    }

    /// Whether a connection listens at the moment.
    pub(crate) fn is_connected(&self) -> bool {
        self.subscriptions.are_connected()
    }

    /// Listens until `stop`. A full channel holds back PostgreSQL's queue; nothing is dropped.
    pub(crate) async fn run(
        self,
        notifications: Sender<Received<ListenEvent>>,
        stop: CancellationToken,
    ) {
        let stopped = stop.child_token();
        let closed = stopped.clone();
        let sink = async move |what: ListenEvent| {
            if what == ListenEvent::Connected {
                metrics().listener_connected(LISTENER);
            }
            let at = Instant::now();
            if notifications.send(Received { what, at }).await.is_err() {
                closed.cancel();
            }
        };
        listener::run(
            || self.database.listen_options(),
            self.subscriptions,
            self.settings,
            sink,
            stopped,
        )
        .await;
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod tests;
