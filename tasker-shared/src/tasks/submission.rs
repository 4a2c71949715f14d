//! Submits tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::announcements::Announcements;
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::queues::may_be_of_a_queue;

/// A task to be submitted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTask {
    /// Namespace of the template.
    pub namespace: String,
    /// Name of the template.
    pub name: String,
    /// Version of the template; the highest where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Input of the task, checked against the template's input schema.
    pub context: Value,
    /// Larger is claimed first.
    pub priority: i32,
    /// The same key again, for the same template, gives the first task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What happens where the key was used with another context.
    #[serde(default)]
    pub on_conflict: OnConflict,
}

/// What to do where an idempotency key was used with another context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Answer with the task of its first use, and say that its context differs.
    #[default]
    Existing,
    /// Refuse the submission as a conflict.
    Reject,
}

/// The answer to one submitted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Submitted {
    /// The task; the first one where its idempotency key was known.
    #[schema(value_type = Uuid, example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    pub task_uuid: TaskUuid,
    /// Whether this request created it.
    pub created: bool,
    /// Whether that first task has another context than this request; false where it was created.
    pub context_differs: bool,
}

impl Announcements {
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
}

/// The orchestrator that a submission need not wait for, because it is in the same process.
#[derive(Debug, Clone)]
pub struct Enqueuing {
    /// Its name in the history of tasks.
    pub processor: String,
    /// Namespaces that it serves; all, where none is named.
    pub namespaces: Vec<String>,
}

/// What a submission brought about.
#[derive(Debug, Default)]
pub struct Submission {
    /// The answers, in the order of the tasks.
    pub submitted: Vec<Submitted>,
    /// How many of the tasks had their first steps enqueued with it.
    pub enqueued: u64,
    /// What is to be announced after the commit.
    pub announcements: Announcements,
}

/// A submitted task, and the queue that its first steps were put into.
#[derive(sqlx::FromRow)]
struct Started {
    #[sqlx(flatten)]
    submitted: Submitted,
    enqueued_in: Option<String>,
}

impl From<Vec<Submitted>> for Submission {
    fn from(submitted: Vec<Submitted>) -> Self {
        Self {
            announcements: Announcements::of_submitted(&submitted),
            submitted,
            enqueued: 0,
        }
    }
}

impl From<Vec<Started>> for Submission {
    fn from(started: Vec<Started>) -> Self {
        let (enqueued, others): (Vec<_>, Vec<_>) =
            started.iter().partition(|task| task.enqueued_in.is_some());
        let uuids = |tasks: &[&Started]| tasks.iter().map(|it| it.submitted.task_uuid.0).collect();
        let created: Vec<_> = others
            .iter()
            .filter(|task| task.submitted.created)
            .copied()
            .collect();
        let mut queues: Vec<_> = enqueued
            .iter()
            .filter_map(|it| it.enqueued_in.clone())
            .collect();
        queues.sort_unstable();
        queues.dedup();
        let announcements = match started.as_slice() {
            // The call announced it.
            [
                Started {
                    enqueued_in: Some(_),
                    ..
                },
            ] => Announcements::default(),
            _ => Announcements {
                submitted: uuids(&others),
                created: uuids(&created),
                started: uuids(&enqueued),
                queues,
                ..Announcements::default()
            },
        };
        Self {
            enqueued: enqueued.len() as u64,
            submitted: started.iter().map(|task| task.submitted).collect(),
            announcements,
        }
    }
}

/// Submits tasks, all or none, in the caller's transaction where there is one.
///
/// The answers are in the order of the input.
///
/// # Errors
/// A refusal that names the position of the first offending task: not-found for an unknown
/// template or version, invalid input for a context that its schema refuses, conflict for a key that
/// was used with another context where that is to be refused.
pub async fn submit_tasks(
    connection: &mut PgConnection,
    tasks: &[NewTask],
) -> Result<Vec<Submitted>, Error> {
    Ok(sqlx::query_as(
        "select task_uuid, created, context_differs from tasker.submit_tasks($1) order by position",
    )
    .bind(Json(tasks))
    .fetch_all(connection)
    .await?)
}

/// Submits tasks as [`submit_tasks`] does, without announcing them: that is for the caller to do once
/// it has committed. Where an idempotency key is in the hands of another transaction it waits no
/// longer than `lock_timeout`.
///
/// # Errors
/// Those of [`submit_tasks`], and [`Error::Locked`] when `lock_timeout` is over.
pub async fn submit_tasks_silently(
    connection: &mut PgConnection,
    tasks: &[NewTask],
    lock_timeout: Option<Duration>,
) -> Result<Vec<Submitted>, Error> {
    let lock_timeout = lock_timeout.map(|it| i32::try_from(it.as_millis()).unwrap_or(i32::MAX));
    Ok(sqlx::query_as(
        "select task_uuid, created, context_differs from tasker.submit_tasks_silently($1, $2)",
    )
    .bind(Json(tasks))
    .bind(lock_timeout)
    .fetch_all(connection)
    .await?)
}

/// Submits tasks as [`submit_tasks`] does, and puts their first steps into the queues in the same
/// transaction. It waits no longer than `lock_timeout` for a queue or an idempotency key that another
/// transaction holds. `None`, and nothing was submitted, where a queue could not be written to: they are to be
/// submitted without.
///
/// # Errors
/// Those of [`submit_tasks`].
pub async fn submit_and_enqueue(
    connection: &mut PgConnection,
    tasks: &[NewTask],
    enqueuing: &Enqueuing,
    lock_timeout: Duration,
) -> Result<Option<Submission>, Error> {
    let Enqueuing {
        processor,
        namespaces,
    } = enqueuing;
    let answer = sqlx::query_as(
        "select task_uuid, created, context_differs, enqueued_in \
         from tasker.submit_and_enqueue($1, $2, $3, $4)",
    )
    .bind(Json(tasks))
    .bind(processor)
    .bind(Some(namespaces).filter(|it| !it.is_empty()))
    .bind(i32::try_from(lock_timeout.as_millis()).unwrap_or(i32::MAX))
    .fetch_all(connection)
    .await;
    match answer {
        Ok(started) => Ok(Some(Submission::from(started as Vec<Started>))),
        Err(error) if may_be_of_a_queue(&error) && is_raised_in_sending(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a statement failed where it put messages into a queue.
fn is_raised_in_sending(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    let error = error.and_then(|it| it.try_downcast_ref::<PgDatabaseError>());
    let context = error.and_then(PgDatabaseError::r#where);
    context.is_some_and(|context| context.contains("tasker.send_messages("))
}
