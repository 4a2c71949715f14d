//! What an orchestrator does, at the hands of a test: makes due retries ready, and puts what is ready
//! into the queues.

use std::time::Duration;

use tasker_shared::clock;
use tasker_shared::database::Database;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::readiness::{claim_ready_tasks, fire_due_timers};
use tasker_shared::tasks::{TaskDetail, get_task};
use tokio::time::{Instant, sleep};

/// Who claims, in the log of transitions.
const PROCESSOR: &str = "world";
/// Most steps that one call claims, and most timers that one call fires.
const BATCH: i32 = 1000;
/// Pause before the task is looked at again while a handler runs.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Orchestrates until the task has ended or nothing in it can go on before its time; `None` where that
/// takes longer than `longest`.
pub(super) async fn settle(
    database: &Database,
    task: TaskUuid,
    longest: Duration,
) -> Result<Option<TaskDetail>, Error> {
    let started = Instant::now();
    loop {
        orchestrate(database).await?;
        let detail = load_task(database, task).await?;
        if has_settled(&detail) {
            return Ok(Some(detail));
        }
        if started.elapsed() > longest {
            return Ok(None);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// One round: what is due becomes ready, what is ready is enqueued.
pub(super) async fn orchestrate(database: &Database) -> Result<(), Error> {
    database
        .call("world_orchestrates", async |connection| {
            fire_due_timers(connection, BATCH).await?;
            claim_ready_tasks(connection, PROCESSOR, BATCH).await?;
            Ok(())
        })
        .await
}

/// The task as it stands.
pub(super) async fn load_task(database: &Database, task: TaskUuid) -> Result<TaskDetail, Error> {
    let detail = database
        .call("world_looks", async |connection| {
            get_task(connection, task).await
        })
        .await?;
    detail.ok_or_else(|| Error::Corrupt(format!("there is no task {task} in this world")))
}

/// Sets how far the engine's clock is ahead.
pub(super) async fn set_ahead(database: &Database, by: Duration) -> Result<(), Error> {
    database
        .call("world_moves_time", async |connection| {
            clock::set_ahead(connection, by).await
        })
        .await
}

/// Whether the task has ended, or waits for times to come alone.
fn has_settled(detail: &TaskDetail) -> bool {
    detail.summary.state.is_terminal() || detail.execution_status == "waiting"
}
