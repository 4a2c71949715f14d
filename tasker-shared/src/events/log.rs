//! Reads, from the logs of transitions, what all processes did: engines, workers and operators.
//!
//! The logs are followed by the numbers of their rows, see [`Cursor`]. A submission is not logged;
//! it shows as a task whose UUID, which begins with the time, is later than those before it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::cursor::{Cursor, LOOK_BACK};
use super::lifecycle::{LifecycleEvent, Moved};
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::{StepState, TaskState};

/// A submission that is committed later than this after its task got its UUID is not told of; the
/// task is first heard of when it starts.
const SUBMISSION_TIME: TimeDelta = TimeDelta::seconds(2);

/// How often the indexes that find the ends of the logs are brought up to date, at most.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(5);

/// Bits of a UUID of version 7 behind its milliseconds.
const BITS_AFTER_MILLISECONDS: u32 = 80;

/// Follows what happens to all tasks and steps of a database, from the moment it is opened.
#[derive(Debug)]
pub struct EventLog {
    width: i64,
    tasks: Cursor,
    steps: Cursor,
    submissions: Submissions,
    server_started_at: DateTime<Utc>,
    summarized_at: Option<Instant>,
    /// Events missed that were not told of yet, because a look failed after it was found.
    missed: Option<u64>,
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub struct News {
    /// It, in order; what was committed late comes late.
    pub events: Vec<LifecycleEvent>,
    /// How many more events there may have been, 0 where nobody knows; none where these are all.
    pub missed: Option<u64>,
    /// Whether there is more already.
    pub is_behind: bool,
}

/// The tasks of which it was told that they were submitted.
#[derive(Debug)]
struct Submissions {
    /// Those after this one are looked at.
    after: Uuid,
    /// Those of them that are known.
    told: BTreeSet<TaskUuid>,
}

#[derive(sqlx::FromRow)]
struct Marks {
    last_task_no: i64,
    last_step_no: i64,
    oldest_xid: i64,
    mark: Option<i64>,
    read_at: DateTime<Utc>,
    server_started_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    transition_no: Option<i64>,
    at: DateTime<Utc>,
    task_uuid: TaskUuid,
    namespace: String,
    template: String,
    step_no: Option<i32>,
    step_name: Option<String>,
    attempt: Option<i32>,
    from_state: Option<String>,
    to_state: String,
    actor: Option<String>,
    reason: Option<String>,
    error: Option<String>,
}

impl EventLog {
    /// Begins at the ends of the logs. Looks at up to `width` rows of each at once.
    pub async fn open(connection: &mut PgConnection, width: usize) -> Result<Self, Error> {
        let marks = Marks::read(connection, false).await?;
        let mut log = Self {
            width: LOOK_BACK,
            tasks: Cursor::new(marks.last_task_no),
            steps: Cursor::new(marks.last_step_no),
            submissions: Submissions::since(marks.read_at),
            server_started_at: marks.server_started_at,
            summarized_at: None,
            missed: None,
        };
        // What is there already is not news.
        log.advance(connection, marks).await?;
        log.width = i64::try_from(width.max(1)).unwrap_or(i64::MAX);
        Ok(log)
    }

    /// What happened since the last look. A call that fails is to be repeated; one that is abandoned
    /// on its way, too.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<News, Error> {
        let wants_mark = self.tasks.wants_mark() || self.steps.wants_mark();
        let marks = Marks::read(connection, wants_mark).await?;
        if let Some(mark) = marks.mark {
            self.tasks.mark(mark);
            self.steps.mark(mark);
        }
        self.advance(connection, marks).await
    }

    /// Brings the indexes by which the ends of the logs are found up to date, if it is time. To be
    /// called when something happened; where it fails, looks cost more until it works.
    pub async fn summarize(&mut self, connection: &mut PgConnection) -> Result<(), Error> {
        let now = Instant::now();
        let is_time = |at: Instant| now.duration_since(at) >= SUMMARY_INTERVAL;
        if self.summarized_at.is_none_or(is_time) {
            self.summarized_at = Some(now);
            sqlx::query("select tasker.summarize_transitions()")
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    async fn advance(
        &mut self,
        connection: &mut PgConnection,
        marks: Marks,
    ) -> Result<News, Error> {
        let skipped =
            self.tasks.catch_up(marks.last_task_no) + self.steps.catch_up(marks.last_step_no);
        // Moves that a crash of the server took back were told of, and others may be numbered again.
        if skipped > 0 || marks.server_started_at != self.server_started_at {
            self.miss(skipped);
        }
        self.server_started_at = marks.server_started_at;

        let tasks = self.tasks.ranges(marks.last_task_no, self.width);
        let steps = self.steps.ranges(marks.last_step_no, self.width);
        let limit = i32::try_from(self.width.max(LOOK_BACK)).unwrap_or(i32::MAX);
        let rows: Vec<Row> =
            sqlx::query_as("select * from tasker.recent_transitions($1, $2, $3, $4, $5, $6)")
                .bind(tasks.0)
                .bind(tasks.1)
                .bind(steps.0)
                .bind(steps.1)
                .bind(self.submissions.after)
                .bind(limit)
                .fetch_all(connection)
                .await?;

        let (submitted, moved): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| row.transition_no.is_none());
        let (steps, tasks): (Vec<_>, Vec<_>) =
            moved.into_iter().partition(|row| row.step_no.is_some());
        let is_behind = self.tasks.is_behind(marks.last_task_no, self.width)
            || self.steps.is_behind(marks.last_step_no, self.width)
            || submitted.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let (oldest, width) = (marks.oldest_xid, self.width);
        let mut rows = self.submissions.take(submitted, limit, marks.read_at);
        rows.extend(self.tasks.take(tasks, (marks.last_task_no, width), oldest));
        rows.extend(self.steps.take(steps, (marks.last_step_no, width), oldest));
        let given_up = self.tasks.give_up() + self.steps.give_up();
        if given_up > 0 {
            self.miss(given_up);
        }
        rows.sort_by_key(|row| (row.at, row.rank(), row.transition_no, row.part()));
        Ok(News {
            events: rows.into_iter().map(Row::event).collect::<Result<_, _>>()?,
            missed: self.missed.take(),
            is_behind,
        })
    }

    fn miss(&mut self, count: u64) {
        *self.missed.get_or_insert(0) += count;
    }
}

impl Cursor {
    /// The rows that are seen for the first time.
    fn take(&mut self, rows: Vec<Row>, asked: (i64, i64), oldest_xid: i64) -> Vec<Row> {
        let mut numbers: Vec<_> = rows.iter().filter_map(|row| row.transition_no).collect();
        self.read(asked, oldest_xid, &mut numbers);
        let new: BTreeSet<_> = numbers.into_iter().collect();
        let is_new = |row: &Row| {
            row.transition_no
                .is_some_and(|number| new.contains(&number))
        };
        rows.into_iter().filter(is_new).collect()
    }
}

impl Submissions {
    fn since(now: DateTime<Utc>) -> Self {
        Self {
            after: first_uuid_of(now - SUBMISSION_TIME),
            told: BTreeSet::new(),
        }
    }

    /// The tasks that are seen for the first time.
    fn take(&mut self, mut rows: Vec<Row>, limit: i32, now: DateTime<Utc>) -> Vec<Row> {
        let last = rows.iter().map(|row| row.task_uuid).max();
        let is_cut = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        rows.retain(|row| self.told.insert(row.task_uuid));
        // Where there are too many, late ones are not waited for.
        let after = match last {
            Some(last) if is_cut => last.0,
            _ => first_uuid_of(now - SUBMISSION_TIME),
        };
        self.after = self.after.max(after);
        let after = TaskUuid(self.after);
        self.told.retain(|task| *task > after);
        rows
    }
}

impl Marks {
    async fn read(connection: &mut PgConnection, mark: bool) -> Result<Self, Error> {
        Ok(sqlx::query_as("select * from tasker.transition_marks($1)")
            .bind(mark)
            .fetch_one(connection)
            .await?)
    }
}

impl Row {
    /// At one moment a task is submitted, starts before its steps and ends after them.
    fn rank(&self) -> u8 {
        match (self.transition_no, self.step_no) {
            (None, _) => 0,
            (_, Some(_)) => 2,
            _ if self.to_state == TaskState::InProgress.as_str() => 1,
            _ => 3,
        }
    }

    /// A number of the log may stand for the end of a step and, after it, the start of the one that
    /// followed in its place.
    fn part(&self) -> u8 {
        let starts = self.to_state == StepState::InProgress.as_str();
        u8::from(starts)
    }

    fn event(self) -> Result<LifecycleEvent, Error> {
        let task_uuid = self.task_uuid;
        let corrupt = |error: crate::state::UnknownState| {
            Error::Corrupt(format!("a transition of task {task_uuid}: {error}"))
        };
        let from = self.from_state.as_deref();
        let moved = if let Some(step_no) = self.step_no {
            let from = from.unwrap_or_default().parse().map_err(corrupt)?;
            Moved::Step {
                step_no,
                name: self.step_name.unwrap_or_default(),
                attempt: self.attempt.unwrap_or_default(),
                from,
                to: self.to_state.parse::<StepState>().map_err(corrupt)?,
            }
        } else {
            Moved::Task {
                from: from.map(str::parse).transpose().map_err(corrupt)?,
                to: self.to_state.parse::<TaskState>().map_err(corrupt)?,
            }
        };
        Ok(LifecycleEvent {
            at: self.at,
            task_uuid,
            namespace: self.namespace,
            template: self.template,
            moved,
            actor: self.actor,
            reason: self.reason,
            error: self.error,
        })
    }
}

/// The lowest UUID of version 7 of that millisecond, but for the version.
fn first_uuid_of(time: DateTime<Utc>) -> Uuid {
    let since_epoch = (time - DateTime::UNIX_EPOCH).to_std();
    let milliseconds = since_epoch.unwrap_or(Duration::ZERO).as_millis();
    Uuid::from_u128(milliseconds << BITS_AFTER_MILLISECONDS)
}
