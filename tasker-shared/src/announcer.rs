//! Notifies other processes, after a commit, of what they should look at.
//!
//! A NOTIFY inside a transaction serialises its commit with all others, database-wide, until it is
//! flushed. The engine's own writes are therefore silent, and each process hands what they brought
//! about to one announcer, which sends whatever gathered while its last statement ran as the next
//! one. What could not be sent because the database was away is sent when it is back. An
//! announcement that is lost with its process costs a polling interval, never a task.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sqlx::{PgConnection, Row};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::channel::{self, ChannelSpec, Receiver, Sender};
use crate::config::{MpscChannelsConfig, SupervisorConfig};
use crate::database::{Database, DedicatedConnection};
use crate::error::Error;
use crate::ids::{StepId, TaskUuid};
use crate::outage::Outage;
use crate::supervisor::{Supervised, Supervisor};
use crate::tasks::Submitted;
use crate::telemetry::metrics;

/// The PostgreSQL channels on which Tasker announces, named as `tasker.channel` names them.
///
/// Readiness and ends of tasks are announced on a global channel and on one of the namespace, which
/// the function [`Self::of_namespace`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyChannels {
    /// Tasks got ready steps; listened to by orchestrators.
    pub task_ready: String,
    /// Tasks entered a state; listened to by orchestrators, workers and callers that wait for a
    /// task.
    pub task_state: String,
    /// A retry was scheduled; listened to by the orchestrators' timers.
    pub timer_set: String,
    /// A namespace was created; listened to by orchestrators and workers.
    pub namespace_created: String,
    /// A namespace is gone; listened to by workers.
    pub namespace_removed: String,
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
            namespace_removed: name("namespace_removed"),
        }
    }

    /// The channel of one namespace that belongs to a global one.
    pub fn of_namespace(channel: &str, namespace: &str) -> String {
        format!("{channel}.{namespace}")
    }
}

/// How many announcements one statement may gather.
const ANNOUNCEMENTS_PER_CALL: usize = 1000;

/// How many tasks of a sort are kept while the database is away. They are hints: a listener that
/// missed so many looks at everything.
const MOST_KEPT: usize = 10_000;

/// A call takes milliseconds. After this long the process at its other end may be frozen, and the
/// call is repeated on another connection.
const FROZEN_AFTER: Duration = Duration::from_secs(2);

/// Failures after which a loop whose handles are all gone stops trying.
const LAST_FAILURES: u32 = 4;

/// What a committed call brought about that other processes wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcements {
    /// Tasks that were submitted.
    pub submitted: Vec<Uuid>,
    /// Those of them that are new.
    pub created: Vec<Uuid>,
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
    /// The steps whose completion made tasks ready, by task.
    pub readied_by: HashMap<TaskUuid, StepId>,
}

impl Announcements {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.submitted.is_empty()
            && self.ready.is_empty()
            && self.finished.is_empty()
            && self.cancelled.is_empty()
            && self.queues.is_empty()
            && !self.timer_set
    }

    /// Those of submitted tasks. One whose idempotency key was known is announced again, in case
    /// its first announcement was lost; it is left out once a step of it was claimed.
    pub fn of_submitted(submitted: &[Submitted]) -> Self {
        let created = submitted.iter().filter(|task| task.created);
        Self {
            submitted: submitted.iter().map(|task| task.task_uuid.0).collect(),
            created: created.map(|task| task.task_uuid.0).collect(),
            ..Self::default()
        }
    }

    /// Reads the columns that the functions which move steps answer with.
    pub(crate) fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, Error> {
        Ok(Self {
            submitted: Vec::new(),
            created: Vec::new(),
            ready: row.try_get("ready_tasks")?,
            finished: row.try_get("finished_tasks")?,
            cancelled: row.try_get("cancelled_tasks")?,
            queues: row.try_get("woken_queues")?,
            timer_set: row.try_get("timer_set")?,
            readied_by: HashMap::new(),
        })
    }

    /// Notes which of the completed steps made tasks ready.
    pub(crate) fn readied_by(&mut self, completed: impl Iterator<Item = StepId>) {
        if !self.ready.is_empty() {
            self.readied_by = completed.map(|step| (step.task_uuid, step)).collect();
        }
    }

    /// For each of the ready tasks, the step whose completion made it ready, where that is known.
    fn readying_steps(&self) -> Vec<Option<Uuid>> {
        let ready = self.ready.iter().map(|task_uuid| TaskUuid(*task_uuid));
        let steps = ready.map(|task_uuid| self.readied_by.get(&task_uuid).copied());
        steps.map(|step| step.map(StepId::step_uuid)).collect()
    }

    fn merge(&mut self, other: Self) {
        self.submitted.extend(other.submitted);
        self.created.extend(other.created);
        self.ready.extend(other.ready);
        self.finished.extend(other.finished);
        self.cancelled.extend(other.cancelled);
        self.queues.extend(other.queues);
        self.timer_set |= other.timer_set;
        self.readied_by.extend(other.readied_by);
    }

    /// Forgets what is more than [`MOST_KEPT`].
    fn truncate(&mut self) {
        for tasks in [
            &mut self.submitted,
            &mut self.created,
            &mut self.ready,
            &mut self.finished,
            &mut self.cancelled,
        ] {
            tasks.truncate(MOST_KEPT);
        }
        let ready: HashSet<_> = self.ready.iter().collect();
        self.readied_by
            .retain(|task_uuid, _| ready.contains(&task_uuid.0));
    }
}

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
                Ok(()) => self.outage.over(),
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
    sqlx::query("select tasker.announce($1, $2, $3, $4, $5, $6, $7)")
        .bind(&announcements.ready)
        .bind(ended.into_iter().flatten().copied().collect::<Vec<_>>())
        .bind(&announcements.queues)
        .bind(announcements.timer_set)
        .bind(announcements.readying_steps())
        .bind(&announcements.submitted)
        .bind(&announcements.created)
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
