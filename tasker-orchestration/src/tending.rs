//! Tends the queues of all namespaces now and then, each by a call of its own: one reads a queue whole.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::queues::list_namespaces;
use tasker_shared::readiness::tend_queue;
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;

/// How often queues are tended: what is found is rare.
const INTERVAL: Duration = Duration::from_secs(30);

/// When queues are tended, and which still have to be.
#[derive(Debug)]
pub(crate) struct Tending {
    next: Instant,
    left: Vec<String>,
}

impl Tending {
    pub(crate) fn new() -> Self {
        Self {
            next: Instant::now(),
            left: Vec::new(),
        }
    }

    /// Tends the queues where that is due. After a failure, as with one that is too large for the
    /// deadline of a call, the next call goes on behind it.
    pub(crate) async fn tend(&mut self, connection: &mut DedicatedConnection) -> Result<(), Error> {
        if self.left.is_empty() && self.next <= Instant::now() {
            self.left = connection.call("list_namespaces", list_namespaces).await?;
            self.next = Instant::now() + jittered(INTERVAL);
        }
        while let Some(namespace) = self.left.pop() {
            let archived = connection
                .call("tend_queue", async |connection| {
                    tend_queue(connection, &namespace).await
                })
                .await?;
            if archived > 0 {
                metrics().messages_archived(archived.into());
            }
        }
        Ok(())
    }
}
