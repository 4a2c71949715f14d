//! What the processes use with nothing to do.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::figures::{Place, Run, figure};
use crate::stage::Stage;
use crate::usage;

/// Time for everything to come to rest before.
const REST: Duration = Duration::from_secs(2);

/// What the orchestrator does with nothing to do, and what the worker adds.
pub(crate) async fn measure(
    stage: &mut Stage<'_>,
    span: Duration,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    // The template makes a namespace, which worker and orchestrator listen to then.
    stage.linear4().await?;
    let orchestrator = stage.processes().orchestrator;
    let alone = queries_a_second(stage, orchestrator, span).await?;
    stage.start_worker(true).await?;
    let worker = stage.processes().worker.unwrap_or_default();
    let both = queries_a_second(stage, worker, span).await?;
    if let (Some(alone), Some(both)) = (alone.queries, both.queries) {
        let added = (both - alone).max(0.0);
        run.note(place, figure("queries_orchestrator", "queries/s"), alone);
        run.note(place, figure("queries_worker", "queries/s"), added);
    }
    for (figure, value) in [
        (figure("cpu_orchestrator", "ms/s"), alone.cpu),
        (figure("cpu_worker", "ms/s"), both.cpu),
        (
            figure("rss_orchestrator", "MiB"),
            usage::memory_now(orchestrator),
        ),
        (figure("rss_worker", "MiB"), usage::memory_now(worker)),
    ] {
        if let Some(value) = value {
            run.note(place, figure, value);
        }
    }
    Ok(())
}

pub(crate) struct Idleness {
    /// Queries a second of all processes.
    pub(crate) queries: Option<f64>,
    /// Milliseconds of processor time a second of the process.
    pub(crate) cpu: Option<f64>,
}

pub(crate) async fn queries_a_second(
    stage: &Stage<'_>,
    pid: u32,
    span: Duration,
) -> Result<Idleness> {
    sleep(REST).await;
    let before = (usage::calls(stage.database).await?, usage::cpu_seconds(pid));
    let started = Instant::now();
    sleep(span).await;
    let after = (usage::calls(stage.database).await?, usage::cpu_seconds(pid));
    let seconds = started.elapsed().as_secs_f64();
    let rate = |(before, after): (f64, f64)| (after - before) / seconds;
    Ok(Idleness {
        queries: before.0.zip(after.0).map(rate),
        cpu: before.1.zip(after.1).map(rate).map(|cpu| cpu * 1e3),
    })
}
