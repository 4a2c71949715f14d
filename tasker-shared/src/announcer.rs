//! Notifies other processes, after a commit, of what they should look at.
//!
//! A NOTIFY inside a transaction serialises its commit with all others, database-wide, until it is
//! flushed. The engine's own writes are therefore silent, and each process hands what they brought
//! about to one announcer, which sends whatever gathered while its last statement ran as the next
//! one. What could not be sent because the database was away is sent when it is back. An
//! announcement that is lost with its process costs a polling interval, never a task.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sqlx::PgConnection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::announcements::{Announcements, notify};
use crate::channel::{self, ChannelSpec, Receiver, Sender};
use crate::config::{MpscChannelsConfig, SupervisorConfig};
use crate::database::{Database, DedicatedConnection};
use crate::outage::Outage;
use crate::supervisor::{Supervised, Supervisor};
use crate::telemetry::metrics;

/// How many announcements one statement may gather.
const ANNOUNCEMENTS_PER_CALL: usize = 1000;

/// A call takes milliseconds. After this long the process at its other end may be frozen, and the
/// call is repeated on another connection.
const FROZEN_AFTER: Duration = Duration::from_secs(2);

/// Failures after which a loop whose handles are all gone stops trying.
const LAST_FAILURES: u32 = 4;

/// The handle through which a process announces; clones share one loop, which ends with the last of
/// them.
#[derive(Clone)]
pub struct Announcer {
    sender: Sender<Announcements>,
    sending: Arc<Supervisor>,
}

impl Announcer {
    /// Starts the loop that sends; after [`Self::close`] of the last handle it ends with what it has.
    pub fn start(
        database: &Database,
        component: &'static str,
        channels: &MpscChannelsConfig,
        supervisor: &SupervisorConfig,
    ) -> Self {
        let (sender, receiver) = channel::bounded(ChannelSpec {
            name: "announcements",
            component,
            capacity: channels.shared.announcer.announcement_buffer_size,
        });
        let may_end = CancellationToken::new();
        may_end.cancel();
        let mut sending = Supervisor::new(supervisor, may_end);
        sending.start(Sending {
            connection: database.dedicated().within(FROZEN_AFTER),
            receiver,
            unsent: Announcements::default(),
            failures: 0,
            outage: Outage::new(Sending::NAME, "announce"),
        });
        Self {
            sender,
            sending: Arc::new(sending),
        }
    }

    /// Hands announcements over; waits while the announcer is saturated.
    pub async fn announce(&self, announcements: Announcements) {
        if announcements.is_empty() {
            return;
        }
        count_ends(&announcements);
        if self.sender.send(announcements).await.is_err() {
            warn!("an announcement was not sent because the announcer has stopped");
        }
    }

    /// Gives this handle up; where it was the last one, waits until all it was given is sent.
    pub async fn close(self) {
        let Self { sender, sending } = self;
        drop(sender);
        if let Some(sending) = Arc::into_inner(sending) {
            sending.ended().await;
        }
    }

    /// Whether the loop runs.
    pub fn is_running(&self) -> bool {
        self.sending.health().all(|it| it.is_healthy())
    }
}

/// Counts announcements that a transaction of the engine sent by itself.
pub fn count_announced(announcements: &Announcements) {
    count_ends(announcements);
    count_sent(announcements);
}

fn count_ends(announcements: &Announcements) {
    let Announcements {
        finished,
        cancelled,
        ..
    } = announcements;
    for (state, tasks) in [("finished", finished), ("cancelled", cancelled)] {
        if !tasks.is_empty() {
            metrics().tasks_finished(state, tasks.len() as u64);
        }
    }
}

fn count_sent(announcements: &Announcements) {
    for (channel, count) in announcements.counts() {
        metrics().notifications_sent(channel, count);
    }
}

/// The loop that sends.
struct Sending {
    connection: DedicatedConnection,
    receiver: Receiver<Announcements>,
    unsent: Announcements,
    /// Calls in a row that failed to send it.
    failures: u32,
    outage: Outage,
}

impl Supervised for Sending {
    const NAME: &'static str = "announcer";

    async fn run(&mut self) {
        while self.gather().await {
            let unsent = &self.unsent;
            let call = async |connection: &mut PgConnection| notify(connection, unsent).await;
            match self.connection.call("announce", call).await {
                // One that is about the data would not pass a second time; polling finds the tasks.
                Err(error) if !error.is_about_data() && error.refusal().is_none() => {
                    self.failures += 1;
                    self.unsent.truncate();
                    // The first failure is that of a connection which broke some time ago: it is
                    // noticed at its use, and the second attempt comes at once.
                    if self.failures > 1 {
                        sleep(self.outage.failed(&error)).await;
                    }
                    continue;
                }
                Err(error) => warn!(%error, "could not announce"),
                Ok(()) => {
                    self.outage.over();
                    count_sent(unsent);
                }
            }
            self.unsent = Announcements::default();
            self.failures = 0;
        }
    }
}

impl Sending {
    /// Waits for announcements, unless there are unsent ones; false when the loop ends.
    async fn gather(&mut self) -> bool {
        let mut batch = Vec::new();
        let receive = self.receiver.recv_many(&mut batch, ANNOUNCEMENTS_PER_CALL);
        let received = if self.unsent.is_empty() {
            Some(receive.await)
        } else {
            receive.now_or_never()
        };
        if received == Some(0) && self.unsent.is_empty() {
            return false;
        }
        if received == Some(0) && self.failures >= LAST_FAILURES {
            warn!("the last announcements were not sent; polling finds what they told of");
            return false;
        }
        for announcements in batch {
            self.unsent.merge(announcements);
        }
        self.unsent.queues.sort_unstable();
        self.unsent.queues.dedup();
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::announcements::NotifyChannels;

    #[test]
    fn every_channel_of_the_longest_namespace_has_a_name_that_postgresql_takes() {
        let channels = NotifyChannels::with_prefix(&"p".repeat(20));
        for channel in [channels.task_ready, channels.task_state] {
            let name = NotifyChannels::of_namespace(&channel, &"n".repeat(29));
            assert!(name.len() < 64, "{name}");
        }
        assert!(channels.namespace_created.len() < 64);
    }
}
