//! Lists tasks.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Condition, TaskSummary, WaitsFor, decode};
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::TaskState;

/// A task in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ListedTask {
    /// The task itself.
    #[serde(flatten)]
    #[schema(inline)]
    pub summary: TaskSummary,
    /// The first of its steps that failed, of those that the list was restricted to.
    #[schema(required)]
    pub failed_step: Option<FailedStep>,
}

/// Which step of a task failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedStep {
    /// Name within the template.
    #[schema(example = "charge")]
    pub name: String,
    /// Sort of failure.
    #[schema(required, example = "handler_failed")]
    pub kind: Option<String>,
    /// What the error says, up to 500 characters.
    #[schema(required, example = "card refused")]
    pub message: Option<String>,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Only tasks of this namespace.
    pub namespace: Option<String>,
    /// Only tasks of templates of this name.
    pub name: Option<String>,
    /// Only tasks of this version of their template.
    pub version: Option<String>,
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// At most this many.
    pub limit: i32,
    /// Only tasks submitted before this one.
    pub before: Option<TaskUuid>,
    /// Only tasks submitted after this one, and of those the earliest.
    pub after: Option<TaskUuid>,
    /// Only tasks submitted at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Only tasks submitted before this moment.
    pub until: Option<DateTime<Utc>>,
    /// Only tasks that were submitted with this idempotency key.
    pub key: Option<String>,
    /// Only failed tasks of which a step of this name failed.
    pub step: Option<String>,
    /// Only failed tasks of which a step's error says this, in whatever case.
    pub error: Option<String>,
    /// Only tasks whose search values meet all of these, eight at most.
    pub conditions: Vec<Condition>,
}

impl TaskFilter {
    /// As the database reads it.
    fn document(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "state": self.state,
            "since": self.since.map(storable),
            "until": self.until.map(storable),
            "key": self.key,
            "step": self.step,
            "error": self.error,
            "where": self.conditions,
        })
    }
}

/// The moment or the nearest one that PostgreSQL reads, which is just as far from all tasks.
fn storable(at: DateTime<Utc>) -> DateTime<Utc> {
    const YEAR_9999: i64 = 253_370_764_800;
    at.clamp(
        DateTime::UNIX_EPOCH,
        DateTime::from_timestamp(YEAR_9999, 0).unwrap_or(DateTime::UNIX_EPOCH),
    )
}

/// Tasks that match, the latest submitted first.
///
/// # Errors
/// A refusal where no template names the path of a condition.
pub async fn list_tasks(
    connection: &mut PgConnection,
    filter: &TaskFilter,
) -> Result<Vec<ListedTask>, Error> {
    let rows: Vec<Value> = sqlx::query_scalar("select tasker.search_tasks($1, $2, $3, $4)")
        .bind(filter.document())
        .bind(filter.limit)
        .bind(filter.before)
        .bind(filter.after)
        .fetch_all(&mut *connection)
        .await?;
    let tasks = rows.into_iter();
    let tasks = tasks.map(|row| decode(row, "tasker.search_tasks", "a row"));
    let mut tasks = tasks.collect::<Result<Vec<ListedTask>, Error>>()?;
    mark_those_without_worker(connection, &mut tasks).await?;
    Ok(tasks)
}

/// Notes which of the tasks have a step that no live worker can run.
async fn mark_those_without_worker(
    connection: &mut PgConnection,
    tasks: &mut [ListedTask],
) -> Result<(), Error> {
    let under_way = tasks
        .iter()
        .filter(|task| task.summary.state == TaskState::InProgress);
    let under_way: Vec<Uuid> = under_way.map(|task| task.summary.task_uuid.0).collect();
    if under_way.is_empty() {
        return Ok(());
    }
    let waiting: Vec<Uuid> = sqlx::query_scalar("select tasker.tasks_without_worker($1)")
        .bind(under_way)
        .fetch_one(connection)
        .await?;
    let waiting: HashSet<Uuid> = waiting.into_iter().collect();
    for task in tasks {
        if waiting.contains(&task.summary.task_uuid.0) {
            task.summary.waits_for = Some(WaitsFor::WorkerForHandler);
        }
    }
    Ok(())
}

/// Up to `limit` tasks whose UUID begins with these hexadecimal digits or ends with them, as
/// [`TaskUuid::short`] does; the latest first.
pub async fn find_tasks(
    connection: &mut PgConnection,
    digits: &str,
    limit: i32,
) -> Result<Vec<TaskUuid>, Error> {
    Ok(sqlx::query_scalar("select tasker.find_tasks($1, $2)")
        .bind(digits)
        .bind(limit)
        .fetch_all(connection)
        .await?)
}
