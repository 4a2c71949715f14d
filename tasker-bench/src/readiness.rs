//! How soon a step is enqueued after the end of the one it depends on, by the database's clock: with
//! notifications, idle and under a steady load, and by polling alone.
//!
//! The worker goes on with nothing by itself and enqueues nothing, so that every step takes the way
//! through the orchestrator.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use tasker_shared::tasks::StepDetail;
use tokio::time::{Instant, sleep_until};

use crate::figures::{Place, Run, figure, quantile, time};
use crate::idle::queries_a_second;
use crate::sizes::Sizes;
use crate::stage::{Stage, WARM_UP};

/// Tasks of four steps a second that make 500 steps a second.
const STEADY_TASKS: u32 = 125;
/// Tasks that are measured where each step waits for a poll.
const POLLED_TASKS: u32 = 20;
/// What is to stay zero where notifications arrive.
const FOUND_BY_POLLS: &str = "fallback_tasks_found";

/// With notifications, as an orchestrator runs by default.
pub(crate) async fn by_notifications(
    stage: &mut Stage<'_>,
    sizes: &Sizes,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    idleness(stage, sizes, place, run).await?;
    stage.start_worker(false).await?;
    let shape = stage.linear4().await?;
    let mut gaps = Vec::new();
    for sample in 0..WARM_UP + sizes.samples {
        let task = stage.client.run_one(shape).await?;
        if sample >= WARM_UP {
            gaps.extend(enqueueing(&task.steps));
        }
    }
    for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        run.note(place, time(name), quantile(&mut gaps, q));
    }

    let started = Instant::now();
    let seconds = u32::try_from(sizes.sustained.as_secs()).unwrap_or(1).max(1);
    let client = &stage.client;
    let tasks = (0..STEADY_TASKS * seconds).map(|number| async move {
        sleep_until(started + Duration::from_secs(1) * number / STEADY_TASKS).await;
        client.run_one(shape).await
    });
    let tasks = try_join_all(tasks).await?;
    let mut gaps: Vec<f64> = tasks
        .iter()
        .flat_map(|task| enqueueing(&task.steps))
        .collect();
    for (name, q) in [
        ("steady_p50", 0.5),
        ("steady_p95", 0.95),
        ("steady_p99", 0.99),
    ] {
        run.note(place, time(name), quantile(&mut gaps, q));
    }
    let found = stage.client.metric(FOUND_BY_POLLS).await?;
    run.note(place, figure("found_by_polls", "tasks"), found);
    Ok(())
}

/// By polling alone.
pub(crate) async fn by_polling(
    stage: &mut Stage<'_>,
    sizes: &Sizes,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    idleness(stage, sizes, place, run).await?;
    stage.start_worker(false).await?;
    let shape = stage.linear4().await?;
    let tasks = (0..POLLED_TASKS.min(sizes.samples)).map(|_| stage.client.run_one(shape));
    let tasks = try_join_all(tasks).await?;
    let mut gaps: Vec<f64> = tasks
        .iter()
        .flat_map(|task| enqueueing(&task.steps))
        .collect();
    for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        run.note(place, time(name), quantile(&mut gaps, q));
    }
    Ok(())
}

/// What the orchestrator alone asks and uses while nothing happens.
async fn idleness(stage: &mut Stage<'_>, sizes: &Sizes, place: Place, run: &mut Run) -> Result<()> {
    let orchestrator = stage.processes().orchestrator;
    let idle = queries_a_second(stage, orchestrator, sizes.idle).await?;
    for (figure, value) in [
        (figure("idle_queries", "queries/s"), idle.queries),
        (figure("idle_cpu", "ms/s"), idle.cpu),
    ] {
        if let Some(value) = value {
            run.note(place, figure, value);
        }
    }
    Ok(())
}

/// Milliseconds from the end of each step to the enqueueing of the next.
fn enqueueing(steps: &[StepDetail]) -> impl Iterator<Item = f64> {
    steps.windows(2).filter_map(|pair| {
        let (ended, enqueued) = (pair[0].finished_at?, pair[1].enqueued_at?);
        Some((enqueued - ended).as_seconds_f64() * 1e3)
    })
}
