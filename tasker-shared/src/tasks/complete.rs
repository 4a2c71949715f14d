//! The answer for clients that wait for a task: mostly that it is complete, with its results.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use super::{StepDetail, TaskDetail, TaskSummary, corrupt};
use crate::error::Error;
use crate::ids::{StepId, TaskUuid};
use crate::state::TaskState;

/// A step of a complete task. What there is once of a task is in the row of its first step alone.
#[derive(FromRow)]
struct Row {
    namespace: Option<String>,
    name: Option<String>,
    version: Option<String>,
    priority: i32,
    context: Option<String>,
    idempotency_key: Option<String>,
    reason: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    results_omitted: bool,
    step_no: i32,
    step_name: String,
    state: String,
    handler: String,
    input: String,
    depends_on: Vec<i32>,
    attempts: i32,
    max_attempts: i32,
    result: Option<String>,
    result_bytes: i32,
    error: Option<String>,
    worker: Option<String>,
    step_enqueued_at: Option<DateTime<Utc>>,
    step_started_at: Option<DateTime<Utc>>,
    step_finished_at: Option<DateTime<Utc>>,
}

/// A task that is complete, as [`get_task`](super::get_task) answers it, at half the cost; `None` where it is
/// not, or there is none.
pub async fn get_complete_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Option<TaskDetail>, Error> {
    let mut rows: Vec<Row> = sqlx::query_as("select * from tasker.complete_task($1)")
        .bind(task_uuid)
        .fetch_all(connection)
        .await?;
    rows.sort_unstable_by_key(|row| row.step_no);
    task(rows, task_uuid).map_err(|error| corrupt("tasker.complete_task", task_uuid, &error))
}

fn task(mut rows: Vec<Row>, task_uuid: TaskUuid) -> serde_json::Result<Option<TaskDetail>> {
    let Some(first) = rows.first_mut() else {
        return Ok(None);
    };
    let summary = TaskSummary {
        task_uuid,
        namespace: first.namespace.take().unwrap_or_default(),
        name: first.name.take().unwrap_or_default(),
        version: first.version.take().unwrap_or_default(),
        state: TaskState::Complete,
        priority: first.priority,
        created_at: first.created_at,
        started_at: first.started_at,
        finished_at: first.finished_at,
        waits_for: None,
    };
    let context = document(first.context.as_deref())?.unwrap_or_default();
    let idempotency_key = first.idempotency_key.take();
    let reason = first.reason.take();
    let results_omitted = first.results_omitted;
    let names = rows
        .iter()
        .map(|row| (row.step_no, row.step_name.clone()))
        .collect::<HashMap<_, _>>();
    let steps = rows
        .into_iter()
        .map(|row| step(row, task_uuid, &names))
        .collect::<serde_json::Result<_>>()?;
    Ok(Some(TaskDetail {
        summary,
        context,
        idempotency_key,
        reason,
        execution_status: "all_complete".to_owned(),
        results_omitted,
        steps,
    }))
}

fn step(
    row: Row,
    task_uuid: TaskUuid,
    names: &HashMap<i32, String>,
) -> serde_json::Result<StepDetail> {
    let id = StepId {
        task_uuid,
        step_no: row.step_no,
    };
    let depends_on = row.depends_on.iter();
    let depends_on = depends_on.filter_map(|step_no| names.get(step_no).cloned());
    Ok(StepDetail {
        depends_on: depends_on.collect(),
        name: row.step_name,
        step_uuid: id.step_uuid(),
        state: serde_json::from_value(Value::String(row.state))?,
        handler: row.handler,
        input: document(Some(&row.input))?.unwrap_or_default(),
        attempts: row.attempts,
        max_attempts: row.max_attempts,
        result: document(row.result.as_deref())?,
        result_bytes: row.result_bytes.into(),
        error: document(row.error.as_deref())?,
        worker: row.worker,
        enqueued_at: row.step_enqueued_at,
        started_at: row.step_started_at,
        finished_at: row.step_finished_at,
        retry_at: None,
        waits_for: None,
    })
}

/// JSON, of which null is as good as none.
fn document(text: Option<&str>) -> serde_json::Result<Option<Value>> {
    let value: Option<Value> = text.map(serde_json::from_str).transpose()?;
    Ok(value.filter(|value| !value.is_null()))
}
