//! The history of tasks that ended: for how long it is kept, how it leaves, and how one task is
//! exported.
//!
//! Tasks leave in the order of their submission, in small transactions, each task with all that
//! belongs to it. A sweep is a walk through the tasks in that order, which the database remembers;
//! see `tasker.history_sweeps`.

mod archive;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::config::{ArchiveTarget, RetentionConfig};
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::tasks::get_step;
use crate::telemetry::metrics;

pub use archive::{Archive, ArchiveError};

/// Idempotency keys forgotten by one call.
const KEYS: i32 = 1000;

/// Microseconds of an hour: retentions are whole hours.
const HOUR: i64 = 3_600_000_000;

/// A walk through the tasks in the order of their submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Up to those that were submitted this many hours ago, and from there on as time goes by.
    Of {
        /// A retention that is in use.
        hours: u32,
    },
    /// Round and round through what the others passed: tasks that ended late, or were locked.
    Behind,
}

/// What one transaction deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many tasks of each namespace and outcome.
    pub tasks: BTreeMap<(String, String), u64>,
    /// Tasks that were left because their results are too large for the archive.
    pub too_large: u64,
    /// Where the walk goes on; `None` at its end, or where another process is on it.
    pub reached: Option<Uuid>,
}

impl Pruned {
    /// How many tasks in all.
    pub fn count(&self) -> u64 {
        self.tasks.values().sum()
    }
}

/// Tasks that retention would delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Prunable {
    /// Their namespace.
    pub namespace: String,
    /// How they ended.
    pub outcome: String,
    /// How many they are.
    pub tasks: i64,
    /// When the first of them ended.
    pub oldest_finished_at: DateTime<Utc>,
    /// An estimate of the bytes that they take.
    pub bytes: i64,
}

/// What decides which tasks leave, and how.
#[derive(Debug, Clone)]
pub struct Retention {
    rules: Value,
    batch_size: i32,
    target: ArchiveTarget,
    archive: Archive,
}

impl Retention {
    /// As configured; `instance` names the files of the archive that this process writes.
    pub fn new(config: &RetentionConfig, instance: &str) -> Self {
        Self {
            rules: json!({
                "complete_days": config.complete_days,
                "error_days": config.error_days,
                "cancelled_days": config.cancelled_days,
                "resolved_manually_days": config.resolved_manually_days,
                "idempotency_key_days": config.idempotency_key_days,
                "namespaces": config.namespaces,
            }),
            batch_size: config.batch_size,
            target: config.archive,
            archive: Archive::new(&config.archive_folder, instance),
        }
    }

    /// The sweeps that are needed, the shortest retention first; none where all tasks are kept.
    pub async fn sweeps(&self, connection: &mut PgConnection) -> Result<Vec<Sweep>, Error> {
        let retentions: Vec<PgInterval> = sqlx::query_scalar(
            "select distinct retention from tasker.retention_rules($1) order by retention",
        )
        .bind(&self.rules)
        .fetch_all(connection)
        .await?;
        let hours = retentions.iter().map(|retention| Sweep::Of {
            hours: u32::try_from(retention.microseconds / HOUR).unwrap_or(u32::MAX),
        });
        let mut sweeps: Vec<Sweep> = hours.collect();
        if !sweeps.is_empty() {
            sweeps.push(Sweep::Behind);
        }
        Ok(sweeps)
    }

    /// Goes a part of a sweep, in one transaction. Does nothing while another process does.
    ///
    /// # Errors
    /// Of the database, or [`Error::Archive`]; nothing is deleted then.
    pub async fn sweep(
        &self,
        connection: &mut PgConnection,
        sweep: Sweep,
    ) -> Result<Pruned, Error> {
        let hours = match sweep {
            Sweep::Of { hours } => i64::from(hours),
            Sweep::Behind => 0,
        };
        let retention = PgInterval {
            months: 0,
            days: 0,
            microseconds: hours * HOUR,
        };
        let batch = sqlx::query_as("select * from tasker.sweep_history($1, $2, $3, $4)")
            .bind(&self.rules)
            .bind(retention)
            .bind(self.batch_size)
            .bind(self.archive_name());
        self.delete(connection, batch).await
    }

    /// Deletes what is due of the tasks submitted after `after`, in one transaction, whatever sweeps are
    /// on their way.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub async fn prune(&self, connection: &mut PgConnection, after: Uuid) -> Result<Pruned, Error> {
        let batch = sqlx::query_as("select * from tasker.prune_tasks($1, $2, $3, $4, $5)")
            .bind(&self.rules)
            .bind(after)
            .bind(Uuid::max())
            .bind(self.batch_size)
            .bind(self.archive_name());
        self.delete(connection, batch).await
    }

    /// What would be deleted. Reads all tasks.
    pub async fn prunable(&self, connection: &mut PgConnection) -> Result<Vec<Prunable>, Error> {
        let rows = sqlx::query_as("select * from tasker.prunable_tasks($1)")
            .bind(&self.rules)
            .fetch_all(connection)
            .await?;
        Ok(rows)
    }

    /// Deletes, stores what the archive is to have, and commits.
    async fn delete(
        &self,
        connection: &mut PgConnection,
        batch: sqlx::query::QueryAs<'_, sqlx::Postgres, Batch, sqlx::postgres::PgArguments>,
    ) -> Result<Pruned, Error> {
        let mut transaction = connection.begin().await?;
        let batch = batch.fetch_one(&mut *transaction).await?;
        if let Some(documents) = batch.documents {
            // Before the commit: what is not in the archive is not deleted.
            self.archive.append(documents).await?;
        }
        transaction.commit().await?;
        let mut pruned = Pruned {
            tasks: BTreeMap::new(),
            too_large: u64::from(batch.too_large.unsigned_abs()),
            reached: batch.reached,
        };
        let ended = batch.namespaces.unwrap_or_default().into_iter();
        for ended in ended.zip(batch.outcomes.unwrap_or_default()) {
            *pruned.tasks.entry(ended).or_default() += 1;
        }
        for ((namespace, outcome), count) in &pruned.tasks {
            metrics().tasks_pruned(namespace, outcome, *count);
        }
        Ok(pruned)
    }

    const fn archive_name(&self) -> &'static str {
        match self.target {
            ArchiveTarget::None => "none",
            ArchiveTarget::Table => "table",
            ArchiveTarget::File => "file",
        }
    }
}

/// The answer of `tasker.prune_tasks`; the arrays are parallel.
#[derive(Debug, sqlx::FromRow)]
struct Batch {
    reached: Option<Uuid>,
    namespaces: Option<Vec<String>>,
    outcomes: Option<Vec<String>>,
    documents: Option<Vec<String>>,
    too_large: i32,
}

/// Forgets idempotency keys that were kept longer than their tasks; says whether there may be more.
pub async fn forget_keys(connection: &mut PgConnection) -> Result<bool, Error> {
    let forgotten: i32 = sqlx::query_scalar("select tasker.forget_keys($1)")
        .bind(KEYS)
        .fetch_one(connection)
        .await?;
    Ok(forgotten == KEYS)
}

/// Has the indexes of the logs describe some ranges of pages again that were emptied and filled; see
/// `tasker.refresh_log_ranges`. `round` is the time in which all ranges should have had their turn,
/// `since_last` that since the last call.
pub async fn refresh_log_ranges(
    connection: &mut PgConnection,
    since_last: Duration,
    round: Duration,
) -> Result<(), Error> {
    let part = since_last.as_secs_f64() / round.as_secs_f64();
    sqlx::query("select tasker.refresh_log_ranges($1)")
        .bind(part)
        .execute(connection)
        .await?;
    Ok(())
}

/// Everything there is of a task as one document, from the archive table where it left; `None` where it is
/// in neither.
pub async fn export_task(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
) -> Result<Option<Value>, Error> {
    let document: Option<Json<Value>> = sqlx::query_scalar("select tasker.export_task($1)")
        .bind(task_uuid)
        .fetch_one(&mut *connection)
        .await?;
    let Some(Json(mut document)) = document else {
        return Ok(None);
    };
    if document["results_omitted"] == true {
        add_results(connection, task_uuid, &mut document).await?;
    }
    Ok(Some(document))
}

/// Adds the results of a task that has too many for one document of PostgreSQL.
async fn add_results(
    connection: &mut PgConnection,
    task_uuid: TaskUuid,
    document: &mut Value,
) -> Result<(), Error> {
    for step in document["steps"].as_array_mut().into_iter().flatten() {
        let name = step["name"].as_str().unwrap_or_default();
        step["result"] = json!(get_step(connection, task_uuid, name).await?.result);
    }
    document["results_omitted"] = json!(false);
    Ok(())
}
