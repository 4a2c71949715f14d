//! Checks of the invariants on a live database.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::processes::steps_without_worker;

/// The invariants that are examined; a finding names the one that is broken.
pub const CHECKS: [&str; 10] = [
    "waiting_on_counts_unsatisfied_parents",
    "task_counters_match_steps",
    "task_has_all_its_steps",
    "task_state_fits_its_steps",
    "no_task_is_stuck",
    "no_step_is_offered_twice",
    "every_message_stands_for_a_step",
    "no_step_starts_before_its_parents_end",
    "no_step_completes_twice",
    "the_log_leads_to_the_state",
];

/// A place where the database does not hold what it must.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Finding {
    /// Name of the invariant that is broken.
    pub check: String,
    /// The task concerned.
    pub task_uuid: Option<Uuid>,
    /// The step concerned.
    pub step_name: Option<String>,
    /// What was found, and what was expected.
    pub detail: String,
}

/// Runs every check in one snapshot; an empty answer means that all invariants hold.
pub async fn examine(connection: &mut PgConnection) -> Result<Vec<Finding>, Error> {
    let rows = sqlx::query_as(
        "select check_name as check, task_uuid, step_name, detail from tasker.doctor()",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The conditions that people should hear of and that break no invariant.
pub const WARNINGS: [&str; 1] = ["a_worker_knows_every_handler"];

/// Something that people should hear of, though the database holds what it must.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// Name of the condition that does not hold.
    pub check: &'static str,
    /// The namespace concerned.
    pub namespace: String,
    /// The handler concerned.
    pub handler: String,
    /// How many steps it concerns; counted up to 1,000.
    pub steps: i32,
    /// What was found.
    pub detail: String,
}

/// Finds what waits for people: steps that no live worker can run.
pub async fn warnings(connection: &mut PgConnection) -> Result<Vec<Warning>, Error> {
    let missing = steps_without_worker(connection, &[]).await?;
    let warnings = missing.into_iter().map(|missing| Warning {
        check: WARNINGS[0],
        detail: format!(
            "no live worker of the namespace {} knows the handler '{}'; steps that wait for it: {}",
            missing.namespace, missing.handler, missing.steps
        ),
        namespace: missing.namespace,
        handler: missing.handler,
        steps: missing.steps,
    });
    Ok(warnings.collect())
}
