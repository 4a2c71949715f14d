//! Tells other processes, after a commit, what they should look at.
//!
//! A NOTIFY inside a transaction serialises its commit with all others, database-wide, until it is
//! flushed. The engine's own writes are therefore silent, and each process hands what they brought
//! about to one announcer, which sends whatever gathered while its last statement ran as the next
//! one. An announcement that is lost with its process costs a polling interval, never a task.

use std::sync::Arc;

use sqlx::{PgConnection, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::channel::{self, ChannelSpec, Receiver, Sender};
use crate::config::MpscChannelsConfig;
use crate::database::{Database, DedicatedConnection};
use crate::error::Error;
use crate::ids::StepId;
use crate::telemetry::metrics;

/// The PostgreSQL channels on which Tasker announces, named as `tasker.channel` names them.
///
/// Readiness and ends of tasks are announced on a global channel and on one of the namespace, which
/// the function [`Self::of_namespace`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyChannels {
    /// Tasks got ready steps; listened to by orchestrators.
    pub task_ready: String,
    /// Tasks ended or were cancelled; listened to by workers and by those who wait for a task.
    pub task_state: String,
    /// A retry was scheduled; listened to by the orchestrators' timers.
    pub timer_set: String,
    /// A namespace was created; listened to by orchestrators and workers.
    pub namespace_created: String,
}

impl NotifyChannels {
    /// The channels whose names begin with `prefix`.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |event: &str| format!("{prefix}_{event}");
        Self {
            task_ready: name("task_ready"),
            task_state: name("task_state"),
            timer_set: name("timer_set"),
            namespace_created: name("namespace_created"),
        }
    }

    /// The channel of one namespace that belongs to a global one.
    pub fn of_namespace(channel: &str, namespace: &str) -> String {
        format!("{channel}.{namespace}")
    }
}

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
    /// The step whose completion made a task ready; told where one task is announced.
    pub readied_by: Option<StepId>,
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
            readied_by: None,
        })
    }

    /// Notes which of the completed steps it was that made a task ready.
    pub(crate) fn readied_by(&mut self, mut completed: impl Iterator<Item = StepId>) {
        if let Some(task_uuid) = self.ready.first() {
            self.readied_by = completed.find(|step| step.task_uuid.0 == *task_uuid);
        }
    }

    fn merge(&mut self, other: Self) {
        self.ready.extend(other.ready);
        self.finished.extend(other.finished);
        self.cancelled.extend(other.cancelled);
        self.queues.extend(other.queues);
        self.timer_set |= other.timer_set;
        self.readied_by = self.readied_by.or(other.readied_by);
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
        merged.queues.sort_unstable();
        merged.queues.dedup();
        let sent = connection
            .call("announce", async |connection| {
                notify(connection, &merged).await
            })
            .await;
        if let Err(error) = sent {
            // Polling finds what was not announced.
            warn!(%error, "could not announce");
        }
    }
}

/// The channel on which this database's triggers announce ready tasks.
pub async fn task_ready_channel(connection: &mut PgConnection) -> Result<String, Error> {
    Ok(sqlx::query_scalar("select tasker.channel('task_ready')")
        .fetch_one(connection)
        .await?)
}

/// Sends the announcements in one transaction; what each says is made of them in the database.
pub async fn notify(
    connection: &mut PgConnection,
    announcements: &Announcements,
) -> Result<(), Error> {
    let ended = [&announcements.finished, &announcements.cancelled];
    sqlx::query("select tasker.announce($1, $2, $3, $4, $5)")
        .bind(&announcements.ready)
        .bind(ended.into_iter().flatten().copied().collect::<Vec<_>>())
        .bind(&announcements.queues)
        .bind(announcements.timer_set)
        .bind(announcements.readied_by.map(StepId::step_uuid))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
