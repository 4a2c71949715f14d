//! The submit rates: over REST and in SQL, single and in batches.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::json;
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};

use crate::client::{NAMESPACE, Shape, all_ended};
use crate::figures::{Figure, Place, Run, figure};
use crate::sizes::Sizes;
use crate::stage::Stage;

/// Clients at once.
const SUBMITTERS: u32 = 16;

/// How fast tasks of four steps are taken in. The orchestrator claims and enqueues beside it; a
/// worker runs them afterwards only.
pub(crate) async fn measure(
    stage: &mut Stage<'_>,
    sizes: &Sizes,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    let shape = stage.linear4().await?;
    for (name, clients, batch) in [
        ("rest_single_1_client", 1, 1),
        ("rest_single_16_clients", SUBMITTERS, 1),
        ("rest_batch", 1, sizes.batch),
    ] {
        let started = Instant::now();
        let client = |_| async {
            let mut tasks = 0;
            while started.elapsed() < sizes.submit {
                match batch {
                    1 => stage.client.submit(shape).await?,
                    _ => stage.client.submit_batch(shape, batch).await?,
                };
                tasks += batch;
            }
            anyhow::Ok(tasks)
        };
        let tasks: u32 = try_join_all((0..clients).map(client)).await?.iter().sum();
        run.note(place, tasks_a_second(name), rate(tasks, started));
    }
    for (name, clients, batch) in [
        ("sql_single_1_client", 1, 1),
        ("sql_single_16_clients", SUBMITTERS, 1),
        ("sql_batch", 1, sizes.batch),
    ] {
        let (tasks, started) = submit_in_sql(stage, shape, [clients, batch], sizes.submit).await?;
        run.note(place, tasks_a_second(name), rate(tasks, started));
    }
    stage.start_worker(true).await?;
    all_ended(stage.database).await
}

/// Submits in SQL for a while, each client on a connection of its own.
async fn submit_in_sql(
    stage: &Stage<'_>,
    shape: Shape,
    [clients, batch]: [u32; 2],
    span: Duration,
) -> Result<(u32, Instant)> {
    let tasks = vec![
        NewTask {
            namespace: NAMESPACE.to_owned(),
            name: shape.name.to_owned(),
            version: None,
            context: json!({}),
            priority: 0,
            idempotency_key: None,
            on_conflict: OnConflict::Existing,
        };
        batch as usize
    ];
    let started = Instant::now();
    let client = |_| async {
        let mut connection = stage.database.dedicated();
        let mut submitted = 0;
        while started.elapsed() < span {
            let call = connection.call("submit_tasks", async |connection| {
                submit_tasks(connection, &tasks).await
            });
            stage.client.count(call.await?.len(), shape);
            submitted += batch;
        }
        anyhow::Ok(submitted)
    };
    let submitted = try_join_all((0..clients).map(client)).await?;
    Ok((submitted.iter().sum(), started))
}

const fn tasks_a_second(name: &'static str) -> Figure {
    figure(name, "tasks/s")
}

fn rate(tasks: u32, started: Instant) -> f64 {
    f64::from(tasks) / started.elapsed().as_secs_f64()
}
