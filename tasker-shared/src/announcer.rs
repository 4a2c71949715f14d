//! Tells other processes, after a commit, what they should look at.
//!
//! A NOTIFY inside a transaction serialises its commit with all others, database-wide, until it is
//! flushed. The engine's own writes are therefore silent, and each process hands what they brought
//! about to one announcer, which sends whatever gathered while its last statement ran as the next
//! one. An announcement that is lost with its process costs a polling interval, never a task.

use std::sync::Arc;

use serde_json::json;
use sqlx::{PgConnection, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::channel::{self, ChannelSpec, Receiver, Sender};
use crate::config::MpscChannelsConfig;
use crate::database::{Database, DedicatedConnection};
use crate::error::Error;
use crate::telemetry::metrics;

/// Tasks got ready steps; listened to by orchestrators.
pub const TASK_READY: &str = "tasker_task_ready";
/// Tasks ended or were cancelled; listened to by workers and by those who wait for a task.
pub const TASK_STATE: &str = "tasker_task_state";
/// A retry was scheduled; listened to by the orchestrators' timers.
pub const TIMER_SET: &str = "tasker_timer_set";
/// A namespace was created; listened to by orchestrators and workers.
pub const NAMESPACE_CREATED: &str = "tasker_namespace_created";

/// UUIDs in one payload: 100 of them stay well under PostgreSQL's limit of 8,000 bytes.
const UUIDS_PER_PAYLOAD: usize = 100;

/// How many announcements one statement may gather.
const ANNOUNCEMENTS_PER_CALL: usize = 1000;

/// What a committed call brought about that other processes wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcements {
    /// Tasks that got ready steps.
    pub ready: Vec<Uuid>,
    /// Tasks that ended.
    pub finished: Vec<Uuid>,
    /// Tasks that were cancelled.
    pub cancelled: Vec<Uuid>,
    /// Queues that got messages back.
    pub queues: Vec<String>,
    /// Whether a retry was scheduled.
    pub timer_set: bool,
}

impl Announcements {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.finished.is_empty()
            && self.cancelled.is_empty()
            && self.queues.is_empty()
            && !self.timer_set
    }

    /// Reads the columns that the functions which move steps answer with.
    pub(crate) fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, Error> {
        Ok(Self {
            ready: row.try_get("ready_tasks")?,
            finished: row.try_get("finished_tasks")?,
            cancelled: row.try_get("cancelled_tasks")?,
            queues: row.try_get("woken_queues")?,
            timer_set: row.try_get("timer_set")?,
        })
    }

    fn merge(&mut self, other: Self) {
        self.ready.extend(other.ready);
        self.finished.extend(other.finished);
        self.cancelled.extend(other.cancelled);
        self.queues.extend(other.queues);
        self.timer_set |= other.timer_set;
    }

    /// The notifications that say all of it: channels, and a payload for each.
    fn notifications(mut self) -> (Vec<String>, Vec<String>) {
        let mut channels = Vec::new();
        let mut payloads = Vec::new();
        let mut add = |channel: &str, payload: String| {
            channels.push(channel.to_owned());
            payloads.push(payload);
        };
        for uuids in [&mut self.ready, &mut self.finished, &mut self.cancelled] {
            uuids.sort_unstable();
            uuids.dedup();
        }
        // Readiness is a hint to look at all that is ready, so one payload serves any number.
        if let Some(count) = Some(self.ready.len()).filter(|count| *count > 0) {
            self.ready.truncate(UUIDS_PER_PAYLOAD);
            let payload = json!({
                "namespace": null,
                "task_uuids": self.ready,
                "count": count,
                "triggered_by": "step_transition",
            });
            add(TASK_READY, payload.to_string());
        }
        for (state, uuids) in [("finished", &self.finished), ("cancelled", &self.cancelled)] {
            for uuids in uuids.chunks(UUIDS_PER_PAYLOAD) {
                add(
                    TASK_STATE,
                    json!({ "state": state, "task_uuids": uuids }).to_string(),
                );
            }
        }
        self.queues.sort_unstable();
        self.queues.dedup();
        for queue in &self.queues {
            add(&pgmq_notify::insert_channel(queue), String::new());
        }
        if self.timer_set {
            add(TIMER_SET, json!({}).to_string());
        }
        (channels, payloads)
    }
}

/// The handle through which a process announces; clones share one connection.
#[derive(Clone)]
pub struct Announcer {
    sender: Sender<Announcements>,
    task: Arc<JoinHandle<()>>,
}

impl Announcer {
    /// Starts the loop that sends; it ends, after sending what it has, when `shutdown` fires and
    /// the last handle is gone or when every handle is gone.
    pub fn start(
        database: &Database,
        component: &'static str,
        channels: &MpscChannelsConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let (sender, receiver) = channel::bounded(ChannelSpec {
            name: "announcements",
            component,
            capacity: channels.shared.announcer.announcement_buffer_size,
        });
        let connection = database.dedicated();
        let task = tokio::spawn(run(connection, receiver, shutdown));
        Self {
            sender,
            task: Arc::new(task),
        }
    }

    /// Hands announcements over; waits while the announcer is saturated.
    pub async fn announce(&self, announcements: Announcements) {
        if announcements.is_empty() {
            return;
        }
        let Announcements {
            finished,
            cancelled,
            ..
        } = &announcements;
        for (state, tasks) in [("finished", finished), ("cancelled", cancelled)] {
            if !tasks.is_empty() {
                metrics().tasks_finished(state, tasks.len() as u64);
            }
        }
        if self.sender.send(announcements).await.is_err() {
            warn!("an announcement was not sent because the announcer has stopped");
        }
    }

    /// Gives this handle up; where it was the last one, waits until all it was given is sent.
    pub async fn close(self) {
        let Self { sender, task } = self;
        drop(sender);
        if let Some(task) = Arc::into_inner(task) {
            // A loop that panicked has nothing left to send.
            let _ = task.await;
        }
    }

    /// Whether the loop has ended.
    pub fn is_stopped(&self) -> bool {
        self.task.is_finished()
    }
}

async fn run(
    mut connection: DedicatedConnection,
    mut receiver: Receiver<Announcements>,
    shutdown: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        let gathered = tokio::select! {
            biased;
            count = receiver.recv_many(&mut batch, ANNOUNCEMENTS_PER_CALL) => count,
            () = shutdown.cancelled() => return,
        };
        if gathered == 0 {
            return;
        }
        let mut merged = Announcements::default();
        for announcements in batch.drain(..) {
            merged.merge(announcements);
        }
        let (channels, payloads) = merged.notifications();
        let sent = connection
            .call("announce", async |connection| {
                notify(connection, &channels, &payloads).await
            })
            .await;
        if let Err(error) = sent {
            // Polling finds what was not announced.
            warn!(%error, "could not announce");
        }
    }
}

async fn notify(
    connection: &mut PgConnection,
    channels: &[String],
    payloads: &[String],
) -> Result<(), Error> {
    sqlx::query("select tasker.announce($1, $2)")
        .bind(channels)
        .bind(payloads)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_announced_in_payloads_that_postgresql_takes() {
        let finished = (0..10_000).map(|_| Uuid::new_v4()).collect::<Vec<_>>();
        let announcements = Announcements {
            ready: finished.clone(),
            finished,
            ..Announcements::default()
        };

        let (channels, payloads) = announcements.notifications();

        assert_eq!(channels.len(), 101);
        assert!(payloads.iter().all(|payload| payload.len() < 8000));
    }
}
