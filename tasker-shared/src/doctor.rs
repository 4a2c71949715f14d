//! Checks of the invariants on a live database.

use std::fmt;

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::processes::{StepsWithoutWorker, steps_without_worker};

/// The invariants that are examined; a finding names the one that is broken.
pub const CHECKS: [&str; 11] = [
    "waiting_on_counts_unsatisfied_parents",
    "task_counters_match_steps",
    "task_has_all_its_steps",
    "task_state_fits_its_steps",
    "no_task_is_stuck",
    "no_step_is_offered_twice",
    "every_queue_can_be_used",
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

/// Makes the queues again that cannot be used, and the messages that queues lack; returns the
/// namespaces concerned.
pub async fn repair_queues(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    Ok(sqlx::query_scalar(
        "with damaged as materialized (
           select namespace from tasker.damaged_queues()
         ), lacking as materialized (
           select namespace from tasker.queues_without_messages()
         )
         select namespace from damaged
         cross join lateral (select tasker.repair_queue(namespace)) repaired
         union all
         select namespace from lacking
         where namespace not in (select namespace from damaged)
           and tasker.repair_queue(namespace) > 0",
    )
    .fetch_all(connection)
    .await?)
}

/// The conditions that people should hear of and that break no invariant.
pub const WARNINGS: [&str; 2] = [
    "a_worker_knows_every_handler",
    "no_session_holds_tasks_for_long",
];

/// Something that people should hear of, though the database holds what it must.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// Name of the condition that does not hold.
    pub check: &'static str,
    /// The namespace concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The handler concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// How many steps it concerns; counted up to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<i32>,
    /// What was found.
    pub detail: String,
}

/// Finds what waits for people: steps that no live worker can run, and tasks that a session keeps
/// locked.
pub async fn warnings(connection: &mut PgConnection) -> Result<Vec<Warning>, Error> {
    let missing = steps_without_worker(connection, &[]).await?;
    let mut warnings = missing.into_iter().map(without_worker).collect::<Vec<_>>();
    let sessions: Vec<BlockingSession> = sqlx::query_as("select * from tasker.blocking_sessions()")
        .fetch_all(connection)
        .await?;
    warnings.extend(sessions.iter().map(|session| Warning {
        check: WARNINGS[1],
        namespace: None,
        handler: None,
        steps: None,
        detail: session.to_string(),
    }));
    Ok(warnings)
}

fn without_worker(missing: StepsWithoutWorker) -> Warning {
    Warning {
        check: WARNINGS[0],
        detail: format!(
            "no live worker of the namespace {} knows the handler '{}'; steps that wait for it: {}",
            missing.namespace, missing.handler, missing.steps
        ),
        namespace: Some(missing.namespace),
        handler: Some(missing.handler),
        steps: Some(missing.steps),
    }
}

/// A session that has held tasks for a while.
#[derive(Debug, sqlx::FromRow)]
struct BlockingSession {
    pid: i32,
    user_name: Option<String>,
    application: Option<String>,
    state: Option<String>,
    held_seconds: Option<f64>,
    tasks: i64,
    task_uuid: Uuid,
}

impl fmt::Display for BlockingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(f, "session {} of user {}", self.pid, named(&self.user_name))?;
        if let Some(application) = self.application.as_deref().filter(|name| !name.is_empty()) {
            write!(f, " ({application})")?;
        }
        write!(f, ", {}, holds {} tasks", named(&self.state), self.tasks)?;
        if let Some(seconds) = self.held_seconds {
            write!(f, " for {seconds:.0} s")?;
        }
        write!(
            f,
            ", such as {}; they wait until it commits, or is ended with pg_terminate_backend({})",
            self.task_uuid, self.pid
        )
    }
}
