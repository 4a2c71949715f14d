//! How fast steps are claimed, by one claimer and by several at once.

use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;
use tasker_shared::readiness::claim_ready_tasks;

use crate::client::all_ended;
use crate::figures::{Figure, Place, Run, figure};
use crate::sizes::Sizes;
use crate::stage::Stage;

/// Most steps of one call, as the configuration says by default.
const BATCH: i32 = 500;

const CLAIMERS: [(u32, Figure); 3] = [
    (1, figure("1_claimer", "steps/s")),
    (2, figure("2_claimers", "steps/s")),
    (4, figure("4_claimers", "steps/s")),
];

/// Claims what is ready of as many tasks as a large burst has; each claimer has a connection. The
/// orchestrator of the stage serves another namespace.
pub(crate) async fn measure(
    stage: &mut Stage<'_>,
    sizes: &Sizes,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    let shape = stage
        .client
        .apply_linear("linear1", 1, "builtin.noop")
        .await?;
    let [_, tasks] = sizes.bursts;
    for (claimers, figure) in CLAIMERS {
        stage.client.submit_batch(shape, tasks).await?;
        let started = Instant::now();
        let each = (0..claimers).map(|number| claim_all(stage, number));
        let steps: i32 = try_join_all(each).await?.iter().sum();
        let seconds = started.elapsed().as_secs_f64();
        run.note(place, figure, f64::from(steps) / seconds);
    }
    stage.start_worker(true).await?;
    all_ended(stage.database).await
}

/// Claims until nothing is ready; gives how many steps that were.
async fn claim_all(stage: &Stage<'_>, number: u32) -> Result<i32> {
    let processor = format!("claimer-{number}");
    let mut connection = stage.database.dedicated();
    let mut steps = 0;
    loop {
        let claim = connection.call("claim_ready_tasks", async |connection| {
            claim_ready_tasks(connection, &processor, BATCH).await
        });
        let tasks = claim.await?;
        if tasks.is_empty() {
            return Ok(steps);
        }
        steps += tasks.iter().map(|task| task.ready_steps).sum::<i32>();
    }
}
