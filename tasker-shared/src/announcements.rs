//! What other processes are told after a commit, and on which channels.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::error::Error;
use crate::ids::{StepId, TaskUuid};

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

/// How many tasks of a sort are kept while the database is away. They are hints: a listener that
/// missed so many looks at everything.
const MOST_KEPT: usize = 10_000;

/// What a committed call brought about that other processes wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcements {
    /// Tasks that were submitted.
    pub submitted: Vec<Uuid>,
    /// Those of them that are new.
    pub created: Vec<Uuid>,
    /// New tasks whose first steps were enqueued with their submission.
    pub started: Vec<Uuid>,
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
            && self.created.is_empty()
            && self.started.is_empty()
            && self.ready.is_empty()
            && self.finished.is_empty()
            && self.cancelled.is_empty()
            && self.queues.is_empty()
            && !self.timer_set
    }

    /// How much is announced on each channel: tasks, queues or timers.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        let ready: HashSet<_> = self.ready.iter().chain(&self.submitted).collect();
        let states = [
            &self.created,
            // Pending and in progress.
            &self.started,
            &self.started,
            &self.finished,
            &self.cancelled,
        ];
        let states: usize = states.iter().map(|tasks| tasks.len()).sum();
        [
            ("task_ready", ready.len() as u64),
            ("task_state", states as u64),
            ("pgmq", self.queues.len() as u64),
            ("timer_set", self.timer_set.into()),
        ]
    }

    /// Reads the columns that the functions which move steps answer with.
    pub(crate) fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, Error> {
        Ok(Self {
            submitted: Vec::new(),
            created: Vec::new(),
            started: Vec::new(),
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

    pub(crate) fn merge(&mut self, other: Self) {
        self.submitted.extend(other.submitted);
        self.created.extend(other.created);
        self.started.extend(other.started);
        self.ready.extend(other.ready);
        self.finished.extend(other.finished);
        self.cancelled.extend(other.cancelled);
        self.queues.extend(other.queues);
        self.timer_set |= other.timer_set;
        self.readied_by.extend(other.readied_by);
    }

    /// Forgets what is more than [`MOST_KEPT`].
    pub(crate) fn truncate(&mut self) {
        for tasks in [
            &mut self.submitted,
            &mut self.created,
            &mut self.started,
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

/// The channel on which this database's triggers announce ready tasks.
pub async fn task_ready_channel(connection: &mut PgConnection) -> Result<String, Error> {
    Ok(sqlx::query_scalar("select tasker.channel('task_ready')")
        .fetch_one(connection)
        .await?)
}

/// Sends the announcements in one transaction, so that who listens is woken once; what each says is made
/// of them in the database.
pub async fn notify(
    connection: &mut PgConnection,
    announcements: &Announcements,
) -> Result<(), Error> {
    let ended = [&announcements.finished, &announcements.cancelled];
    let statement = if announcements.started.is_empty() {
        "select tasker.announce($1, $2, $3, $4, $5, $6, $7)"
    } else {
        "select tasker.announce($1, $2, $3, $4, $5, $6, $7), \
         tasker.announce_started_tasks($8)"
    };
    let mut query = sqlx::query(statement)
        .bind(&announcements.ready)
        .bind(ended.into_iter().flatten().copied().collect::<Vec<_>>())
        .bind(&announcements.queues)
        .bind(announcements.timer_set)
        .bind(announcements.readying_steps())
        .bind(&announcements.submitted)
        .bind(&announcements.created);
    if !announcements.started.is_empty() {
        query = query.bind(&announcements.started);
    }
    query.execute(connection).await?;
    Ok(())
}
