//! How tasks ended, for subscribers that hear only that they did.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::lifecycle::{LifecycleEvent, Moved};
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::state::TaskState;

const ENDS: &str = "\
    select k.task_uuid, k.finished_at, k.state::text as state, t.namespace, \
      t.namespace || '/' || t.name || '@' || t.version as template \
    from tasker.tasks k join tasker.templates t on t.template_id = k.template_id \
    where k.task_uuid = any($1) and k.finished_at is not null";

#[derive(sqlx::FromRow)]
struct Row {
    task_uuid: TaskUuid,
    finished_at: DateTime<Utc>,
    state: String,
    namespace: String,
    template: String,
}

/// The ends of those of the tasks that have ended, brought about by `actor`.
pub async fn task_ends_of(
    connection: &mut PgConnection,
    task_uuids: &[Uuid],
    actor: &str,
) -> Result<Vec<LifecycleEvent>, Error> {
    let rows: Vec<Row> = sqlx::query_as(ENDS)
        .bind(task_uuids)
        .fetch_all(connection)
        .await?;
    let event = |row: Row| {
        let to = row
            .state
            .parse()
            .map_err(|error| Error::Corrupt(format!("task {}: {error}", row.task_uuid)))?;
        Ok(LifecycleEvent {
            at: row.finished_at,
            task_uuid: row.task_uuid,
            namespace: row.namespace,
            template: row.template,
            moved: Moved::Task {
                from: Some(TaskState::InProgress),
                to,
            },
            actor: Some(actor.to_owned()),
            reason: None,
            error: None,
        })
    };
    rows.into_iter().map(event).collect()
}
