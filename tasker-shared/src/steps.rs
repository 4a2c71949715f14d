//! Steps in a worker's hands: received under a lease, reported, given back, kept alive.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::announcer::Announcements;
use crate::error::Error;
use crate::ids::{StepId, TaskUuid};

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
    /// The attempt that starts, from 1; an outcome has to name it.
    pub attempt: i32,
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
    /// Results of the steps it depends on, by name.
    pub dependency_results: Map<String, Value>,
    /// Set when the message came back because an earlier holder's lease ran out: the kind of error
    /// (`timeout` or `lease_expired`) to report for `attempt`. Such a step must not be run.
    pub expired: Option<String>,
    /// Set when its JSON cannot be read, and says why: PostgreSQL stores numbers and depths that no
    /// program of ours can hold. Such a step must not be run.
    pub unreadable: Option<String>,
}

/// The JSON of a step, as it was sent.
///
/// It is read step by step, so that one that cannot be read does not take the others along.
#[derive(sqlx::FromRow)]
struct StepTexts {
    context: String,
    input: String,
    dependency_results: String,
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
            dependency_results: serde_json::from_str(&self.dependency_results)
                .map_err(problem("the results of the steps it depends on"))?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct ReceivedRow {
    task_uuid: TaskUuid,
    step_no: i32,
    msg_id: i64,
    namespace: String,
    template: String,
    step_name: String,
    handler: String,
    attempt: i32,
    max_attempts: i32,
    timeout_ms: i32,
    priority: i32,
    #[sqlx(flatten)]
    texts: StepTexts,
    expired: Option<String>,
}

impl From<ReceivedRow> for ReceivedStep {
    fn from(row: ReceivedRow) -> Self {
        let (values, unreadable) = match row.texts.read() {
            Ok(values) => (values, None),
            Err(problem) => (StepValues::default(), Some(problem)),
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
            max_attempts: row.max_attempts,
            timeout_ms: i64::from(row.timeout_ms),
            priority: row.priority,
            context: values.context,
            input: values.input,
            dependency_results: values.dependency_results,
            expired: row.expired,
            unreadable,
        }
    }
}

/// The columns of a received step; its JSON as text.
const RECEIVE: &str = "\
    select task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, \
      max_attempts, timeout_ms, priority, context::text, input::text, dependency_results::text, \
      expired \
    from tasker.receive_steps($1, $2, $3, $4)";

/// Receives up to `limit` steps from the queues of the namespaces, in the order given, and starts
/// an attempt of each under a lease.
pub async fn receive_steps(
    connection: &mut PgConnection,
    namespaces: &[String],
    worker: &str,
    limit: i32,
    lease: Duration,
) -> Result<Vec<ReceivedStep>, Error> {
    let rows: Vec<ReceivedRow> = sqlx::query_as(RECEIVE)
        .bind(namespaces)
        .bind(worker)
        .bind(limit)
        .bind(milliseconds(lease))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(ReceivedStep::from).collect())
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepError {
    /// Sort of failure: `handler_failed`, `panic`, `timeout`, `lease_expired`, `unknown_handler`,
    /// `invalid_input` or a word of the handler's own.
    pub kind: String,
    /// What happened, for people.
    pub message: String,
    /// What else the handler had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutcome {
    /// The handler returned a result.
    Complete(Value),
    /// The attempt failed; the next one follows the template's retry policy, or `after` this time.
    Retry {
        /// What happened.
        error: StepError,
        /// Overrides the backoff of the policy.
        after: Option<Duration>,
    },
    /// The step failed for good, whatever attempts are left.
    Fail(StepError),
}

/// The outcome of one attempt of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The step.
    pub id: StepId,
    /// The attempt that ended.
    pub attempt: i32,
    /// The message it was received with.
    pub msg_id: i64,
    /// Namespace of the message's queue.
    pub namespace: String,
    /// How it ended.
    pub outcome: StepOutcome,
}

/// What a batch of reports did.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Indexes of the reports that named an attempt which is no longer current; nothing of them
    /// was recorded.
    pub stale: Vec<usize>,
    /// What other processes should hear about.
    pub announcements: Announcements,
    /// Dependents that were started in the worker's hands, each with the message of a step that
    /// was reported.
    pub continued: Vec<ReceivedStep>,
}

/// The arrays that a batch of reports is sent as.
#[derive(Default)]
struct ReportColumns<'a> {
    tasks: Vec<Uuid>,
    numbers: Vec<i32>,
    attempts: Vec<i32>,
    messages: Vec<i64>,
    namespaces: Vec<&'a str>,
    outcomes: Vec<&'static str>,
    payloads: Vec<Json<Payload<'a>>>,
    delays: Vec<Option<i64>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Result(&'a Value),
    Error(&'a StepError),
}

/// Records outcomes, each once: states, dependents, retries, the task's end and the deletion of
/// the messages are one transaction.
pub async fn complete_steps(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
) -> Result<Reported, Error> {
    record(connection, worker, reports, None).await
}

/// What a worker is ready to go on with when it reports.
#[derive(Debug, Clone)]
pub struct Continuation<'a> {
    /// For each report, whether its place may go to a dependent of its step.
    pub may_continue: Vec<bool>,
    /// The handlers that the worker knows.
    pub handlers: &'a [String],
    /// Lease of what it is handed.
    pub lease: Duration,
}

/// Records outcomes like [`complete_steps`], and starts, in the same transaction, up to one ready
/// dependent of each step whose report may continue, without a trip through queue and orchestrator.
/// Where something more urgent is ready, that goes first and nothing is handed on.
pub async fn complete_and_continue(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
    continuation: &Continuation<'_>,
) -> Result<Reported, Error> {
    record(connection, worker, reports, Some(continuation)).await
}

/// The first row tells what was brought about, each further one is a step that was started.
const COMPLETE: &str = "\
    select stale, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, timer_set, \
      task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, \
      max_attempts, timeout_ms, priority, context::text, input::text, dependency_results::text, \
      expired \
    from tasker.complete_steps($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

async fn record(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
    continuation: Option<&Continuation<'_>>,
) -> Result<Reported, Error> {
    let columns = ReportColumns::from(reports);
    let rows = sqlx::query(COMPLETE)
        .bind(worker)
        .bind(columns.tasks)
        .bind(columns.numbers)
        .bind(columns.attempts)
        .bind(columns.messages)
        .bind(columns.namespaces)
        .bind(columns.outcomes)
        .bind(columns.payloads)
        .bind(columns.delays)
        .bind(continuation.map(|continuation| &continuation.may_continue))
        .bind(continuation.map(|continuation| continuation.handlers))
        .bind(continuation.map(|continuation| milliseconds(continuation.lease)))
        .fetch_all(connection)
        .await?;
    let Some((first, started)) = rows.split_first() else {
        return Err(Error::Corrupt(
            "tasker.complete_steps gave no row".to_owned(),
        ));
    };
    let mut reported = reported(first)?;
    let completed = reports
        .iter()
        .filter(|report| matches!(report.outcome, StepOutcome::Complete(_)));
    reported
        .announcements
        .readied_by(completed.map(|report| report.id));
    reported.continued = started
        .iter()
        .map(|row| Ok(ReceivedRow::from_row(row)?.into()))
        .collect::<Result<_, Error>>()?;
    Ok(reported)
}

impl<'a> From<&'a [StepReport]> for ReportColumns<'a> {
    fn from(reports: &'a [StepReport]) -> Self {
        let mut columns = Self::default();
        for report in reports {
            columns.tasks.push(report.id.task_uuid.0);
            columns.numbers.push(report.id.step_no);
            columns.attempts.push(report.attempt);
            columns.messages.push(report.msg_id);
            columns.namespaces.push(&report.namespace);
            let (outcome, payload, delay) = match &report.outcome {
                StepOutcome::Complete(result) => ("complete", Payload::Result(result), None),
                StepOutcome::Retry { error, after } => {
                    ("retry", Payload::Error(error), after.map(milliseconds))
                }
                StepOutcome::Fail(error) => ("fail", Payload::Error(error), None),
            };
            columns.outcomes.push(outcome);
            columns.payloads.push(Json(payload));
            columns.delays.push(delay);
        }
        columns
    }
}

/// A received step that is given back unstarted.
#[derive(Debug, Clone)]
pub struct ReleasedStep {
    /// The step.
    pub id: StepId,
    /// The attempt it was received as; it does not count.
    pub attempt: i32,
    /// The message it was received with.
    pub msg_id: i64,
    /// Namespace of the message's queue.
    pub namespace: String,
    /// Whether it goes back because this worker knows no such handler.
    pub refused: bool,
}

/// Gives steps back to their queues: at once, or after `refusal_delay` where they were refused, so
/// that another worker gets a chance. A step refused `max_refusals` times fails for good.
pub async fn release_steps(
    connection: &mut PgConnection,
    worker: &str,
    steps: &[ReleasedStep],
    refusal_delay: Duration,
    max_refusals: i32,
) -> Result<Reported, Error> {
    let row = sqlx::query("select * from tasker.release_steps($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(worker)
        .bind(
            steps
                .iter()
                .map(|step| step.id.task_uuid.0)
                .collect::<Vec<_>>(),
        )
        .bind(steps.iter().map(|step| step.id.step_no).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.attempt).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.msg_id).collect::<Vec<_>>())
        .bind(
            steps
                .iter()
                .map(|step| step.namespace.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(steps.iter().map(|step| step.refused).collect::<Vec<_>>())
        .bind(milliseconds(refusal_delay))
        .bind(max_refusals)
        .fetch_one(connection)
        .await?;
    reported(&row)
}

/// A lease that could not be extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseLost {
    /// Index of the step in the call.
    pub index: usize,
    /// `cancelled` when its task was cancelled, `stale` when the attempt is no longer current.
    pub reason: String,
}

/// Extends the leases of running steps, never beyond the end of their timeout.
///
/// Returns those whose work is no longer wanted.
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
                    .map(|(_, attempt)| *attempt)
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

/// Reads the one row that the functions which move steps answer with.
fn reported(row: &sqlx::postgres::PgRow) -> Result<Reported, Error> {
    let stale: Vec<i32> = row.try_get("stale")?;
    Ok(Reported {
        stale: stale.into_iter().map(index_of).collect::<Result<_, _>>()?,
        announcements: Announcements::from_row(row)?,
        continued: Vec::new(),
    })
}

/// SQL counts positions from 1.
fn index_of(position: i32) -> Result<usize, Error> {
    usize::try_from(position - 1)
        .map_err(|_| Error::Corrupt(format!("position {position} of a step in a batch")))
}

/// Whole milliseconds, as SQL takes durations.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
