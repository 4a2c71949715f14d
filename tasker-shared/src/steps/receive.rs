//! What a worker holds: steps it received, and their leases.

use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, Row};

use super::{index_of, milliseconds};
use crate::error::Error;
use crate::ids::{StepId, TaskUuid};
use crate::queues::{Guard, may_be_of_a_queue};

/// A step that a worker holds, with all its handler may want to know.
#[derive(Debug, Clone)]
pub struct ReceivedStep {
    /// Identity of the step.
    pub id: StepId,
    /// Its message in the namespace's queue.
    pub msg_id: i64,
    /// Namespace of its template.
    pub namespace: String,
    /// Its template, as `namespace/name@version`.
    pub template: String,
    /// Name of the step.
    pub step_name: String,
    /// Name of the handler that has to run it.
    pub handler: String,
    /// The attempt that starts, from 1.
    pub attempt: i32,
    /// Number of this receipt of the step, which an outcome has to name. It comes back only where a
    /// crash of the server undid the receipt.
    pub receipt: i32,
    /// How many attempts it may have.
    pub max_attempts: i32,
    /// How long an attempt may take, in milliseconds.
    pub timeout_ms: i64,
    /// Priority of its task.
    pub priority: i32,
    /// Input of its task.
    pub context: Value,
    /// The template's input of this step.
    pub input: Value,
    /// Results of the steps it depends on, by name; empty where they are asked for.
    pub dependency_results: Map<String, Value>,
    /// Whether its handler asks for each of those results, see [`dependency_result`].
    pub asks_for_results: bool,
    /// Set when the message came back because an earlier holder's lease ran out: the kind of error
    /// (`timeout` or `lease_expired`) to report for `attempt`. Such a step must not be run.
    pub expired: Option<String>,
    /// Set when it cannot be run, and says why: PostgreSQL stores numbers and depths that no program
    /// of ours can hold, and more results than a worker wants to be given.
    pub unfit: Option<Unfit>,
}

/// Why a received step cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// What it would be given is more than the worker takes.
    TooLarge(String),
    /// Its JSON cannot be read.
    Unreadable(String),
}

/// The JSON of a step, as it was sent.
///
/// It is read step by step, so that one that cannot be read does not take the others along.
#[derive(sqlx::FromRow)]
struct StepTexts {
    context: String,
    input: String,
    /// Absent where the handler asks for each.
    dependency_results: Option<String>,
}

/// The same, read.
#[derive(Default)]
struct StepValues {
    context: Value,
    input: Value,
    dependency_results: Map<String, Value>,
}

impl StepTexts {
    fn read(&self) -> Result<StepValues, String> {
        let problem = |what| move |error: serde_json::Error| format!("{what}: {error}");
        Ok(StepValues {
            context: serde_json::from_str(&self.context).map_err(problem("the task's context"))?,
            input: serde_json::from_str(&self.input).map_err(problem("the step's input"))?,
            dependency_results: serde_json::from_str(
                self.dependency_results.as_deref().unwrap_or("{}"),
            )
            .map_err(problem("the results of the steps it depends on"))?,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct ReceivedRow {
    task_uuid: TaskUuid,
    step_no: i32,
    msg_id: i64,
    namespace: String,
    template: String,
    step_name: String,
    handler: String,
    attempt: i32,
    receipt: i32,
    max_attempts: i32,
    timeout_ms: i32,
    priority: i32,
    #[sqlx(flatten)]
    texts: StepTexts,
    expired: Option<String>,
    problem: Option<String>,
}

impl From<ReceivedRow> for ReceivedStep {
    fn from(row: ReceivedRow) -> Self {
        let asks_for_results = row.texts.dependency_results.is_none();
        let (values, unreadable) = match row.texts.read() {
            Ok(values) => (values, None),
            Err(problem) => (StepValues::default(), Some(Unfit::Unreadable(problem))),
        };
        Self {
            id: StepId {
                task_uuid: row.task_uuid,
                step_no: row.step_no,
            },
            msg_id: row.msg_id,
            namespace: row.namespace,
            template: row.template,
            step_name: row.step_name,
            handler: row.handler,
            attempt: row.attempt,
            receipt: row.receipt,
            max_attempts: row.max_attempts,
            timeout_ms: i64::from(row.timeout_ms),
            priority: row.priority,
            context: values.context,
            input: values.input,
            dependency_results: values.dependency_results,
            asks_for_results,
            expired: row.expired,
            unfit: row.problem.map(Unfit::TooLarge).or(unreadable),
        }
    }
}

/// What a worker asks for.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Where it looks, in this order.
    pub namespaces: &'a [String],
    /// The handlers that it knows; `None` for any, as tools and tests have it.
    pub handlers: Option<&'a [String]>,
    /// Most steps.
    pub limit: i32,
    /// Most bytes of what the steps are given, as the database keeps it. A step that would be given
    /// more comes without it and is [`Unfit`].
    pub max_bytes: i64,
    /// How long the steps belong to the worker.
    pub lease: Duration,
    /// What becomes of a queue that cannot be read.
    pub guard: Guard,
}

impl<'a> Demand<'a> {
    /// Up to `limit` steps of any handler and any size.
    pub const fn of_any(namespaces: &'a [String], limit: i32, lease: Duration) -> Self {
        Self {
            namespaces,
            handlers: None,
            limit,
            max_bytes: 1 << 26,
            lease,
            guard: Guard::AfterFailure,
        }
    }
}

/// What a receipt brought.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The steps that were started.
    pub steps: Vec<ReceivedStep>,
    /// The namespaces whose queue could not be read, each with what the database says.
    pub troubled: Vec<(String, String)>,
    /// Whether steps were left out because other transactions hold them at the moment.
    pub left_out: bool,
}

/// The columns of a received step; its JSON as text.
const RECEIVE: &str = "\
    select task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, receipt, \
      max_attempts, timeout_ms, priority, context::text, input::text, dependency_results::text, \
      expired, problem \
    from tasker.receive_steps($1, $2, $3, $4, $5, $6, $7)";

/// Receives steps that the worker can run from the queues of the namespaces, the most urgent of a
/// namespace first, and starts an attempt of each under a lease.
pub async fn receive_steps(
    connection: &mut PgConnection,
    worker: &str,
    demand: &Demand<'_>,
) -> Result<Received, Error> {
    let mut guarded = demand.guard == Guard::FromStart;
    let rows = loop {
        let answer = sqlx::query(RECEIVE)
            .bind(demand.namespaces)
            .bind(worker)
            .bind(demand.limit)
            .bind(milliseconds(demand.lease))
            .bind(demand.handlers)
            .bind(demand.max_bytes)
            .bind(guarded)
            .fetch_all(&mut *connection)
            .await;
        match answer {
            Err(error) if !guarded && may_be_of_a_queue(&error) => guarded = true,
            answer => break answer?,
        }
    };
    let mut received = Received::default();
    for row in &rows {
        let step: Option<TaskUuid> = row.try_get("task_uuid")?;
        if step.is_some() {
            received.steps.push(ReceivedRow::from_row(row)?.into());
        } else {
            match row.try_get("problem")? {
                Some(problem) => received.troubled.push((row.try_get("namespace")?, problem)),
                None => received.left_out = true,
            }
        }
    }
    Ok(received)
}

/// The result of a step that the step `id` depends on, as JSON text.
///
/// The caller, which knows its type, reads it: PostgreSQL stores numbers that no program of ours
/// can hold.
///
/// # Errors
/// A refusal where `id` does not depend on a step of that name, or that one has no result yet.
pub async fn dependency_result(
    connection: &mut PgConnection,
    id: StepId,
    dependency: &str,
) -> Result<String, Error> {
    Ok(
        sqlx::query_scalar("select tasker.dependency_result($1, $2, $3)::text")
            .bind(id.task_uuid)
            .bind(id.step_no)
            .bind(dependency)
            .fetch_one(connection)
            .await?,
    )
}

/// A lease that could not be extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseLost {
    /// Index of the step in the call.
    pub index: usize,
    /// `cancelled` when its task was cancelled, `stale` when the receipt is no longer current, or
    /// `failed: ` and what the database says.
    pub reason: String,
}

/// Extends the leases of running steps, never beyond the end of their timeout.
///
/// Each is named by its receipt. Returns those whose work is no longer wanted, and those whose lease
/// the database could not extend.
pub async fn extend_leases(
    connection: &mut PgConnection,
    worker: &str,
    steps: &[(StepId, i32)],
    lease: Duration,
) -> Result<Vec<LeaseLost>, Error> {
    let rows: Vec<(i32, String)> =
        sqlx::query_as("select position, reason from tasker.extend_leases($1, $2, $3, $4, $5)")
            .bind(worker)
            .bind(
                steps
                    .iter()
                    .map(|(id, _)| id.task_uuid.0)
                    .collect::<Vec<_>>(),
            )
            .bind(steps.iter().map(|(id, _)| id.step_no).collect::<Vec<_>>())
            .bind(
                steps
                    .iter()
                    .map(|(_, receipt)| *receipt)
                    .collect::<Vec<_>>(),
            )
            .bind(milliseconds(lease))
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(position, reason)| {
            Ok(LeaseLost {
                index: index_of(position)?,
                reason,
            })
        })
        .collect()
}
