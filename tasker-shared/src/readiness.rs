//! Steps that may run: found, claimed, and made due by timers.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, Row};

use crate::database::DedicatedConnection;
use crate::error::Error;
use crate::ids::TaskUuid;
use crate::queues::{Guard, may_be_of_a_queue};
use crate::steps::milliseconds;

/// A task some of whose ready steps this call put into their queue.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ClaimedTask {
    /// The task.
    pub task_uuid: TaskUuid,
    /// Namespace of its template.
    pub namespace: String,
    /// The queue its messages went to.
    pub queue_name: String,
    /// Priority of the task.
    pub priority: i32,
    /// How many of its steps were claimed.
    pub ready_steps: i32,
    /// How long the oldest of them had been ready, in milliseconds on the database's clock.
    pub ready_for_ms: f64,
    /// The longest time from the end of a step to the enqueueing of a successor of it, in
    /// milliseconds on the database's clock; `None` where no step of the task came so.
    pub successor_after_ms: Option<f64>,
}

impl ClaimedTask {
    /// How long the oldest of its steps had been ready, on the database's clock.
    pub fn ready_for(&self) -> Duration {
        time(self.ready_for_ms)
    }

    /// The longest time from the end of a step to the enqueueing of a successor of it, on the
    /// database's clock; `None` where no step of the task came so.
    pub fn successor_after(&self) -> Option<Duration> {
        self.successor_after_ms.map(time)
    }
}

/// A time on the database's clock. A negative one means that the clock was set back; it says nothing.
fn time(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
}

/// What a claim brought.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    /// The tasks whose steps were put into queues, the most urgent first.
    pub tasks: Vec<ClaimedTask>,
    /// How many ready steps were left out because another transaction holds them or their task, as
    /// far as the claim looked.
    pub locked: u32,
    /// The namespaces whose queue could not be written, each with what the database says.
    pub troubled: Vec<(String, String)>,
}

/// Claims up to `limit` ready steps, the most urgent and then the oldest first, puts each into its
/// namespace's queue and wakes the queue's workers.
///
/// Steps that another orchestrator is claiming are left to it.
pub async fn claim_ready_tasks(
    connection: &mut PgConnection,
    processor: &str,
    limit: i32,
) -> Result<Vec<ClaimedTask>, Error> {
    let claimed =
        claim_ready_tasks_of(connection, processor, limit, &[], Guard::AfterFailure).await?;
    Ok(claimed.tasks)
}

/// Like [`claim_ready_tasks`], in the given namespaces alone, in all where none is given; and tells
/// what could not be claimed.
pub async fn claim_ready_tasks_of(
    connection: &mut PgConnection,
    processor: &str,
    limit: i32,
    namespaces: &[String],
    guard: Guard,
) -> Result<Claimed, Error> {
    let mut guarded = guard == Guard::FromStart;
    let rows = loop {
        let answer = sqlx::query("select * from tasker.claim_ready_tasks($1, $2, $3, $4)")
            .bind(processor)
            .bind(limit)
            .bind(some(namespaces))
            .bind(guarded)
            .fetch_all(&mut *connection)
            .await;
        match answer {
            Err(error) if !guarded && may_be_of_a_queue(&error) => guarded = true,
            answer => break answer?,
        }
    };
    let mut claimed = Claimed::default();
    for row in &rows {
        let task: Option<TaskUuid> = row.try_get("task_uuid")?;
        let problem: Option<String> = row.try_get("problem")?;
        match (task, problem) {
            (Some(_), _) => claimed.tasks.push(ClaimedTask::from_row(row)?),
            (None, Some(problem)) => {
                let namespace = row.try_get("namespace")?;
                claimed.troubled.push((namespace, problem));
            }
            (None, None) => {
                let steps: i32 = row.try_get("ready_steps")?;
                claimed.locked += steps.unsigned_abs();
            }
        }
    }
    Ok(claimed)
}

/// The restriction to namespaces, as SQL takes it: null where there is none.
fn some(namespaces: &[String]) -> Option<&[String]> {
    (!namespaces.is_empty()).then_some(namespaces)
}

/// A task that has ready steps which nobody claimed so far.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReadyTask {
    /// The task.
    pub task_uuid: TaskUuid,
    /// Namespace of its template.
    pub namespace: String,
    /// Priority of the task.
    pub priority: i32,
    /// How many of its steps are ready.
    pub ready_steps: i32,
    /// How long the oldest of them has been ready, in milliseconds on the database's clock.
    pub ready_for_ms: f64,
}

/// Finds up to `limit` tasks whose steps have been ready for longer than `age`, whatever announced
/// them, the most urgent first.
pub async fn find_ready_tasks(
    connection: &mut PgConnection,
    age: Duration,
    limit: i32,
) -> Result<Vec<ReadyTask>, Error> {
    find_ready_tasks_of(connection, age, limit, &[]).await
}

/// Like [`find_ready_tasks`], in the given namespaces alone; in all where none is given.
pub async fn find_ready_tasks_of(
    connection: &mut PgConnection,
    age: Duration,
    limit: i32,
    namespaces: &[String],
) -> Result<Vec<ReadyTask>, Error> {
    Ok(
        sqlx::query_as("select * from tasker.find_ready_tasks($1, $2, $3)")
            .bind(milliseconds(age))
            .bind(limit)
            .bind(some(namespaces))
            .fetch_all(connection)
            .await?,
    )
}

/// What a look at tables full of dead rows did.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DeadRowsDiscarded {
    /// Whether an old snapshot, or a replication slot, keeps vacuum from its work.
    pub held_back: bool,
    /// The table that was rewritten.
    pub written: Option<String>,
    /// How many other tables would have had to be.
    pub remaining: i32,
    /// The tables to vacuum, as SQL names them.
    pub to_vacuum: Vec<String>,
}

/// Looks for tables that hold many dead rows of steps which were claimed.
///
/// Returns which of them to vacuum. Where vacuum is kept from its work, rewrites one of them
/// instead; gives up after 50 ms where another session keeps a lock on it.
pub async fn discard_dead_rows(connection: &mut PgConnection) -> Result<DeadRowsDiscarded, Error> {
    Ok(sqlx::query_as("select * from tasker.discard_dead_rows()")
        .fetch_one(connection)
        .await?)
}

/// Vacuums these tables, named as [`DeadRowsDiscarded`] does; those that another session
/// vacuums are left out.
pub async fn vacuum(connection: &mut DedicatedConnection, tables: &[String]) -> Result<(), Error> {
    let tables = tables.join(", ");
    let vacuum = format!("vacuum (skip_locked, truncate off, index_cleanup on) {tables}");
    connection.call_outside_transaction("vacuum", vacuum).await
}

/// What a look at the timers did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimersFired {
    /// How many retries became ready.
    pub fired: i32,
    /// Queues that hold messages whose lease ran out; their workers were woken.
    pub woken_queues: Vec<String>,
    /// When the next retry or lease is due; `None` when nothing waits.
    pub next_due_in: Option<Duration>,
}

/// Makes due retries ready and wakes the workers of queues in which a lease ran out.
///
/// Any number of orchestrators may do this at once; each retry fires once.
pub async fn fire_due_timers(
    connection: &mut PgConnection,
    limit: i32,
) -> Result<TimersFired, Error> {
    fire(connection, limit, false).await
}

/// Like [`fire_due_timers`], and announces what became ready, for a caller that does not serve all
/// namespaces.
pub async fn fire_and_announce_due_timers(
    connection: &mut PgConnection,
    limit: i32,
) -> Result<TimersFired, Error> {
    fire(connection, limit, true).await
}

async fn fire(
    connection: &mut PgConnection,
    limit: i32,
    announce: bool,
) -> Result<TimersFired, Error> {
    let fire = "select fired, woken_queues, next_due_ms from tasker.fire_due_timers($1, $2)";
    let (fired, woken_queues, next_due_ms): (i32, Vec<String>, Option<i64>) = sqlx::query_as(fire)
        .bind(limit)
        .bind(announce)
        .fetch_one(connection)
        .await?;
    let next_due_in = next_due_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    Ok(TimersFired {
        fired,
        woken_queues,
        next_due_in,
    })
}

/// Moves foreign messages from the queue of a namespace into its archive, and lets those be found
/// whose lease ran out after they were handed on. Returns how many were archived.
///
/// Reads the whole queue.
pub async fn tend_queue(connection: &mut PgConnection, namespace: &str) -> Result<u32, Error> {
    let archived: i32 = sqlx::query_scalar("select tasker.tend_queue($1)")
        .bind(namespace)
        .fetch_one(connection)
        .await?;
    Ok(archived.unsigned_abs())
}
