//! What a worker reports about the steps it holds: how their attempts ended, or that it gives them
//! back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::receive::{ReceivedRow, ReceivedStep};
use super::{index_of, milliseconds};
use crate::announcements::Announcements;
use crate::error::Error;
use crate::ids::StepId;
use crate::queues::may_be_of_a_queue;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepError {
    /// Sort of failure: `handler_failed`, `panic`, `timeout`, `lease_expired`, `input_too_large`,
    /// `invalid_input` or a word of the handler's own.
    #[schema(example = "handler_failed")]
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What else the handler had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
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
    /// The step failed permanently, whatever attempts are left.
    Fail(StepError),
}

/// The outcome of one attempt of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The step.
    pub id: StepId,
    /// The receipt whose attempt ended.
    pub receipt: i32,
    /// The message it was received with.
    pub msg_id: i64,
    /// Namespace of the message's queue.
    pub namespace: String,
    /// How it ended.
    pub outcome: StepOutcome,
}

/// What a report does about tasks and steps that another transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// Waits a moment; then all of it fails with [`Error::Locked`]. Where all of it fails because of
    /// a queue, it is made again with [`Locks::Skip`].
    Wait,
    /// Leaves them out, and returns which they were. A queue in trouble keeps nothing from being
    /// recorded.
    Skip,
}

/// What a batch of reports did.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Indexes of the reports that named a receipt which is no longer current; nothing of them
    /// was recorded.
    pub stale: Vec<usize>,
    /// Indexes of the reports whose task or step another transaction holds; nothing of them was
    /// recorded, and they have to be made again.
    pub locked: Vec<usize>,
    /// What other processes should hear about.
    pub announcements: Announcements,
    /// Whether they have been told, with the commit.
    pub announced: bool,
    /// How many dependents were put into their queue.
    pub enqueued: u64,
    /// Dependents that were started in the worker's hands: with the message of a step that was reported,
    /// or beside such a one, with a message of their own.
    pub continued: Vec<ReceivedStep>,
}

/// The arrays that a batch of reports is sent as.
#[derive(Default)]
struct ReportColumns<'a> {
    tasks: Vec<Uuid>,
    numbers: Vec<i32>,
    receipts: Vec<i32>,
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

/// How outcomes are recorded.
#[derive(Debug, Clone, Copy)]
pub struct ReportOptions<'a> {
    /// What is done about tasks and steps that another transaction holds.
    pub locks: Locks,
    /// Announces a single report in the same transaction, with [`Locks::Wait`]: for a worker that has
    /// nothing else to report, because the commit of a transaction that notifies holds up all others
    /// that do until it is flushed. The answer says as well what was brought about.
    pub announces: bool,
    /// Puts dependents that are ready into their queue in the same transaction, so that none of them
    /// waits for a claim. Those that [`Locks::Skip`] records are left to claims.
    pub enqueues: bool,
    /// Starts up to one ready dependent of each step whose report may continue in the same transaction,
    /// without a trip through queue and orchestrator. Where something more urgent is ready, that goes
    /// first and nothing is handed on.
    pub continuation: Option<&'a Continuation<'a>>,
    /// Of the dependents that would be enqueued, starts up to so many like that, each with a message of
    /// its own.
    pub room: usize,
}

impl ReportOptions<'_> {
    /// Only records, waiting for locks.
    pub const PLAIN: Self = Self {
        locks: Locks::Wait,
        announces: false,
        enqueues: false,
        continuation: None,
        room: 0,
    };
}

/// Records outcomes as [`record_outcomes`] does, and what they make ready waits for a claim.
pub async fn complete_steps(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
    locks: Locks,
) -> Result<Reported, Error> {
    let options = ReportOptions {
        locks,
        ..ReportOptions::PLAIN
    };
    record_outcomes(connection, worker, reports, options).await
}

/// Records outcomes like [`complete_steps`], with continuation.
pub async fn complete_and_continue(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
    continuation: &Continuation<'_>,
    locks: Locks,
) -> Result<Reported, Error> {
    let options = ReportOptions {
        locks,
        continuation: Some(continuation),
        ..ReportOptions::PLAIN
    };
    record_outcomes(connection, worker, reports, options).await
}

/// The first row says what was brought about, each further one is a step that was started; of one
/// outcome, the first may have both.
macro_rules! complete {
    ($call:literal) => {
        concat!(
            "select stale, locked, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, \
               timer_set, enqueued_steps, task_uuid, step_no, msg_id, namespace, template, step_name, handler, \
               attempt, receipt, max_attempts, timeout_ms, priority, context::text, input::text, \
               dependency_results::text, expired, problem \
             from tasker.",
            $call
        )
    };
}
const COMPLETE: &str = complete!(
    "complete_steps_and_enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $15, $13, $14)"
);
const COMPLETE_ONE: &str = complete!(
    "complete_one_step($1, $2[1], $3[1], $4[1], $5[1], $6[1], $7[1], $8[1], $9[1], $10[1], \
       $11, $12, $13, $14, $15)"
);

/// Records outcomes, each once: states, dependents, retries, the task's end and the deletion of
/// the messages are one transaction.
pub async fn record_outcomes(
    connection: &mut PgConnection,
    worker: &str,
    reports: &[StepReport],
    options: ReportOptions<'_>,
) -> Result<Reported, Error> {
    let columns = ReportColumns::from(reports);
    let ReportOptions {
        mut locks,
        mut announces,
        enqueues,
        continuation,
        room,
    } = options;
    let room = i32::try_from(room).unwrap_or(i32::MAX);
    announces &= reports.len() == 1 && locks == Locks::Wait;
    let mut failed_first = None;
    let rows = loop {
        let is_one = reports.len() == 1 && locks == Locks::Wait;
        let query = sqlx::query(if is_one { COMPLETE_ONE } else { COMPLETE });
        let query = query
            .bind(worker)
            .bind(&columns.tasks)
            .bind(&columns.numbers)
            .bind(&columns.receipts)
            .bind(&columns.messages)
            .bind(&columns.namespaces)
            .bind(&columns.outcomes)
            .bind(&columns.payloads)
            .bind(&columns.delays)
            .bind(continuation.map(|continuation| &continuation.may_continue))
            .bind(continuation.map(|continuation| continuation.handlers))
            .bind(continuation.map(|continuation| milliseconds(continuation.lease)));
        let answer = query
            .bind(enqueues)
            .bind(room)
            .bind(if is_one {
                announces
            } else {
                locks == Locks::Skip
            })
            .fetch_all(&mut *connection)
            .await;
        let Err(error) = answer else {
            break answer?;
        };
        let may_be_of_a_queue = may_be_of_a_queue(&error);
        let error = Error::from(error);
        // What is put into a queue is data that this may refuse; what the outcomes bring is refused again.
        let is_other = matches!(error, Error::Locked { .. }) || error.is_about_data() && !enqueues;
        if locks == Locks::Skip || is_other || !may_be_of_a_queue {
            return Err(failed_first.unwrap_or(error));
        }
        failed_first = Some(error);
        (locks, announces) = (Locks::Skip, false);
    };
    let Some(first) = rows.first() else {
        return Err(Error::Corrupt(
            "tasker.complete_steps_and_enqueue gave no row".to_owned(),
        ));
    };
    let mut reported = reported(first)?;
    reported.announced = announces;
    let enqueued: Option<i32> = first.try_get("enqueued_steps")?;
    reported.enqueued = enqueued
        .and_then(|steps| u64::try_from(steps).ok())
        .unwrap_or(0);
    let completed = reports
        .iter()
        .filter(|report| matches!(report.outcome, StepOutcome::Complete(_)));
    reported
        .announcements
        .readied_by(completed.map(|report| report.id));
    for row in &rows {
        let task_uuid: Option<Uuid> = row.try_get("task_uuid")?;
        if task_uuid.is_some() {
            reported.continued.push(ReceivedRow::from_row(row)?.into());
        }
    }
    Ok(reported)
}

impl<'a> From<&'a [StepReport]> for ReportColumns<'a> {
    fn from(reports: &'a [StepReport]) -> Self {
        let mut columns = Self::default();
        for report in reports {
            columns.tasks.push(report.id.task_uuid.0);
            columns.numbers.push(report.id.step_no);
            columns.receipts.push(report.receipt);
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
    /// The receipt that is given back; its attempt does not count.
    pub receipt: i32,
    /// The message it was received with.
    pub msg_id: i64,
    /// Namespace of the message's queue.
    pub namespace: String,
}

/// Gives steps back to their queues, where other workers can receive them at once.
pub async fn release_steps(
    connection: &mut PgConnection,
    worker: &str,
    steps: &[ReleasedStep],
) -> Result<Reported, Error> {
    let release = "select stale, locked, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, \
        timer_set \
      from tasker.release_steps($1, $2, $3, $4, $5, $6)";
    let row = sqlx::query(release)
        .bind(worker)
        .bind(
            steps
                .iter()
                .map(|step| step.id.task_uuid.0)
                .collect::<Vec<_>>(),
        )
        .bind(steps.iter().map(|step| step.id.step_no).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.receipt).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.msg_id).collect::<Vec<_>>())
        .bind(
            steps
                .iter()
                .map(|step| step.namespace.as_str())
                .collect::<Vec<_>>(),
        )
        .fetch_one(connection)
        .await?;
    reported(&row)
}

/// Reads the one row that the functions which move steps answer with.
fn reported(row: &sqlx::postgres::PgRow) -> Result<Reported, Error> {
    let indexes = |column| {
        let positions: Vec<i32> = row.try_get(column)?;
        positions
            .into_iter()
            .map(index_of)
            .collect::<Result<_, Error>>()
    };
    Ok(Reported {
        stale: indexes("stale")?,
        locked: indexes("locked")?,
        announcements: Announcements::from_row(row)?,
        announced: false,
        enqueued: 0,
        continued: Vec::new(),
    })
}
