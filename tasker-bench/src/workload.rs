//! The workloads, and how each is measured.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use futures::future::try_join_all;

use crate::client::{NOOP, Shape, all_ended};
use crate::figures::{Figure, MACHINE, Place, Run, figure, quantile, throughput, time};
use crate::phases::Timed;
use crate::sizes::Sizes;
use crate::stage::{Stage, WARM_UP};
use crate::{claims, idle, phases, readiness, retention, scale, stopwatch, submit};

/// Clients of the sustained load, and how many tasks each submits at once.
const SUSTAINED: (u32, u32) = (4, 250);
/// Parts of the span of the sustained load; its first and last are told.
const PARTS: u32 = 4;
/// Clients that run one task each at a time: the load of `step-to-step-loaded`.
const LOADED_CLIENTS: u32 = 16;

/// Part of the tasks that their submission enqueued, past the claim of an orchestrator.
const ENQUEUED_ON_SUBMISSION: Figure = figure("enqueued_on_submission", "%");
/// The counters of the orchestrator that it is made of.
const ENQUEUED: &str = "tasker_tasks_enqueued_on_submission_total";
const SUBMITTED: &str = "tasker_tasks_submitted_total";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// The machine alone: commits, notifications, PGMQ
    Machine,
    /// Three steps in a row, one client, by phase
    Linear3,
    /// Four steps in a row, one client, by phase
    Linear4,
    /// One step, two beside each other, one; one client
    Diamond,
    /// One step, 100 beside each other, one
    Wide,
    /// One step, 10,000 beside each other, one
    WideLarge,
    /// 1,000 tasks of four steps at once
    Burst,
    /// 10,000 tasks of four steps at once
    BurstLarge,
    /// Tasks of four steps for a bounded time
    Sustained,
    /// Submission alone, over REST and SQL, single and in batches
    Submit,
    /// Claims alone, by one claimer and by several
    Claims,
    /// From step to step, one client
    StepToStep,
    /// From step to step, sixteen clients
    StepToStepLoaded,
    /// From the end of a step to the enqueueing of the next, by notifications
    Readiness,
    /// The same by polling alone, ten times a second
    ReadinessPolling,
    /// Nothing to do
    Idle,
    /// Sustained without statistics
    StatisticsOff,
    /// Sustained with a tenth of all events sampled, as by default
    StatisticsSampled,
    /// Sustained with all events sampled
    StatisticsAll,
    /// More and more clients, then processes, and what sessions wait for; only where it is named
    Scale,
    /// Many days with a week of history; only where it is named
    History,
}

impl Workload {
    /// Its name, as on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Machine => MACHINE,
            Self::Linear3 => "linear3",
            Self::Linear4 => "linear4",
            Self::Diamond => "diamond",
            Self::Wide => "wide",
            Self::WideLarge => "wide-large",
            Self::Burst => "burst",
            Self::BurstLarge => "burst-large",
            Self::Sustained => "sustained",
            Self::Submit => "submit",
            Self::Claims => "claims",
            Self::StepToStep => "step-to-step",
            Self::StepToStepLoaded => "step-to-step-loaded",
            Self::Readiness => "readiness",
            Self::ReadinessPolling => "readiness-polling",
            Self::Idle => "idle",
            Self::StatisticsOff => "statistics-off",
            Self::StatisticsSampled => "statistics-sampled",
            Self::StatisticsAll => "statistics-all",
            Self::Scale => "scale",
            Self::History => "history",
        }
    }

    /// Where it is measured: with and without continuation where that makes a difference.
    pub(crate) fn places(self) -> Vec<Place> {
        let modes: &[_] = match self {
            Self::Machine => &[],
            Self::Submit
            | Self::Claims
            | Self::Idle
            | Self::History
            | Self::Readiness
            | Self::ReadinessPolling => &[None],
            _ => &[Some(true), Some(false)],
        };
        let workload = self.name();
        let place = |&continuation| Place {
            workload,
            continuation,
        };
        modes.iter().map(place).collect()
    }

    /// What each process is told by its environment.
    pub(crate) const fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::StatisticsOff => &[("TASKER__STATISTICS__ENABLED", "false")],
            Self::StatisticsAll => &[("TASKER__STATISTICS__SAMPLING_RATES__NORMAL", "1.0")],
            Self::Readiness | Self::ReadinessPolling => {
                &[("TASKER__WORKER__ENQUEUE_DEPENDENTS", "false")]
            }
            // All processes together are to find room on a server of ordinary size.
            Self::Scale => &[("TASKER__DATABASE__MAX_CONNECTIONS", "3")],
            _ => &[],
        }
    }

    /// What the orchestrator alone is told by its environment.
    pub(crate) const fn orchestrator(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ReadinessPolling => &[
                ("DEPLOYMENT_MODE", "PollingOnly"),
                ("POLL_INTERVAL_MS", "100"),
            ],
            Self::Claims => &[("TASKER__ORCHESTRATION__NAMESPACES", "none")],
            _ => &[],
        }
    }

    /// Measures it.
    pub(crate) async fn measure(
        self,
        stage: &mut Stage<'_>,
        sizes: &Sizes,
        place: Place,
        run: &mut Run,
    ) -> Result<()> {
        if let Some(continuation) = place.continuation {
            stage.start_worker(continuation).await?;
        }
        let client = &stage.client;
        let [narrow, broad] = sizes.widths;
        let [few, many] = sizes.bursts;
        let [samples, wide] = [sizes.samples, sizes.wide_samples];
        match self {
            Self::Machine => Ok(()),
            Self::Linear3 => {
                let shape = stage.stopwatch("stopwatch3", 3).await?;
                linear(stage, shape, samples, place, run).await
            }
            Self::Linear4 => {
                let shape = stage.stopwatch("stopwatch4", 4).await?;
                linear(stage, shape, samples, place, run).await
            }
            Self::Diamond => {
                let shape = client.apply_wide("diamond", 2, NOOP).await?;
                one_client(stage, shape, samples, place, run).await?;
                Ok(())
            }
            Self::Wide => {
                let shape = client.apply_wide("wide", narrow, NOOP).await?;
                fan_out(stage, shape, wide, place, run).await
            }
            Self::WideLarge => {
                let shape = client.apply_wide("wide_large", broad, NOOP).await?;
                fan_out(stage, shape, wide, place, run).await
            }
            Self::Burst => burst(stage, few, place, run).await,
            Self::BurstLarge => burst(stage, many, place, run).await,
            Self::Sustained
            | Self::StatisticsOff
            | Self::StatisticsSampled
            | Self::StatisticsAll => sustained(stage, sizes.sustained, place, run).await,
            Self::Submit => submit::measure(stage, sizes, place, run).await,
            Self::Claims => claims::measure(stage, sizes, place, run).await,
            Self::StepToStep => step_to_step(stage, 1, samples, place, run).await,
            Self::StepToStepLoaded => {
                step_to_step(stage, LOADED_CLIENTS, samples, place, run).await
            }
            Self::Readiness => readiness::by_notifications(stage, sizes, place, run).await,
            Self::ReadinessPolling => readiness::by_polling(stage, sizes, place, run).await,
            Self::Idle => idle::measure(stage, sizes.idle, place, run).await,
            Self::Scale => scale::measure(stage, sizes, place.continuation, run).await,
            Self::History => retention::measure(stage.server, sizes, place, run).await,
        }
    }
}

/// Task after task, whose handlers tell when they ran: how long each takes, and where that time goes.
async fn linear(
    stage: &Stage<'_>,
    shape: Shape,
    samples: u32,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    let tasks = one_client(stage, shape, samples, place, run).await?;
    phases::note(&tasks, place, run)
}

/// Task after task, each awaited over REST.
async fn one_client(
    stage: &Stage<'_>,
    shape: Shape,
    samples: u32,
    place: Place,
    run: &mut Run,
) -> Result<Vec<Timed>> {
    for _ in 0..WARM_UP {
        stage.client.run_one(shape).await?;
    }
    let [enqueued, submitted] = counted(stage).await?;
    let before = stage.usage().await?;
    let mut tasks = Vec::new();
    for _ in 0..samples {
        tasks.push(phases::run_one(&stage.client, shape).await?);
    }
    let after = stage.usage().await?;
    let mut times: Vec<f64> = tasks.iter().map(Timed::latency).collect();
    for (name, q) in [
        ("latency_p50", 0.50),
        ("latency_p95", 0.95),
        ("latency_p99", 0.99),
    ] {
        run.note(place, time(name), quantile(&mut times, q));
    }
    let [enqueued_after, submitted_after] = counted(stage).await?;
    let part = (enqueued_after - enqueued) / (submitted_after - submitted);
    run.note(place, ENQUEUED_ON_SUBMISSION, part * 100.0);
    after.since(&before, place, run);
    Ok(tasks)
}

/// Tasks that their submission enqueued so far, and all that were submitted.
async fn counted(stage: &Stage<'_>) -> Result<[f64; 2]> {
    let client = &stage.client;
    Ok([
        client.metric(ENQUEUED).await?,
        client.metric(SUBMITTED).await?,
    ])
}

/// Tasks with many steps, one after the other, timed by the database's clock: an answer of
/// thousands of steps would be measured with them otherwise.
async fn fan_out(
    stage: &Stage<'_>,
    shape: Shape,
    samples: u32,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    stage.client.run_one(shape).await?;
    let before = stage.usage().await?;
    let mut times = Vec::new();
    for _ in 0..samples {
        let task = stage.client.run_one(shape).await?.summary;
        let ended = task.finished_at.unwrap_or(task.created_at);
        times.push((ended - task.created_at).as_seconds_f64() * 1e3);
    }
    let median = quantile(&mut times, 0.5);
    run.note(place, time("duration_p50"), median);
    let rate = f64::from(shape.steps) / median * 1e3;
    run.note(place, throughput("throughput"), rate);
    stage.usage().await?.since(&before, place, run);
    Ok(())
}

/// Many tasks in one request, timed until the last has ended.
async fn burst(stage: &Stage<'_>, tasks: u32, place: Place, run: &mut Run) -> Result<()> {
    let shape = stage.linear4().await?;
    for _ in 0..WARM_UP {
        stage.client.run_one(shape).await?;
    }
    let before = stage.usage().await?;
    let started = Instant::now();
    let last = stage.client.submit_batch(shape, tasks).await?;
    let submitted = started.elapsed();
    stage.client.ended(last).await?;
    all_ended(stage.database).await?;
    let steps = f64::from(tasks) * f64::from(shape.steps);
    let rate = steps / started.elapsed().as_secs_f64();
    run.note(place, throughput("throughput"), rate);
    let rate = steps / started.elapsed().saturating_sub(submitted).as_secs_f64();
    run.note(place, throughput("throughput_after_submit"), rate);
    stage.usage().await?.since(&before, place, run);
    Ok(())
}

/// Clients that submit a batch, wait for its end and submit the next.
async fn sustained(stage: &Stage<'_>, span: Duration, place: Place, run: &mut Run) -> Result<()> {
    let shape = stage.linear4().await?;
    let before = stage.usage().await?;
    let started = Instant::now();
    let (clients, tasks) = SUSTAINED;
    let client = |_| async {
        let mut ended = Vec::new();
        while started.elapsed() < span {
            let last = stage.client.submit_batch(shape, tasks).await?;
            stage.client.ended(last).await?;
            ended.push(started.elapsed());
        }
        anyhow::Ok(ended)
    };
    let ended: Vec<Duration> = try_join_all((0..clients).map(client)).await?.concat();
    all_ended(stage.database).await?;
    let batch = f64::from(tasks * shape.steps);
    let all = f64::from(u32::try_from(ended.len()).unwrap_or(u32::MAX)) * batch;
    let rate = all / started.elapsed().as_secs_f64();
    run.note(place, throughput("throughput"), rate);
    let part = span / PARTS;
    for (name, from) in [
        ("throughput_first_quarter", Duration::ZERO),
        ("throughput_last_quarter", part * (PARTS - 1)),
    ] {
        let within = ended
            .iter()
            .filter(|&&at| (from..from + part).contains(&at));
        let batches = f64::from(u32::try_from(within.count()).unwrap_or(u32::MAX));
        let rate = batches * batch / part.as_secs_f64();
        run.note(place, throughput(name), rate);
    }
    stage.usage().await?.since(&before, place, run);
    Ok(())
}

/// Tasks whose handlers tell when they ran.
async fn step_to_step(
    stage: &Stage<'_>,
    clients: u32,
    samples: u32,
    place: Place,
    run: &mut Run,
) -> Result<()> {
    let shape = stage.stopwatch("stopwatch4", 4).await?;
    let client = |_| async {
        let mut gaps = Vec::new();
        for sample in 0..WARM_UP + samples {
            let task = stage.client.run_one(shape).await?;
            if sample >= WARM_UP {
                gaps.extend(stopwatch::gaps(&task.steps));
            }
        }
        anyhow::Ok(gaps)
    };
    let started = Instant::now();
    let mut gaps = try_join_all((0..clients).map(client)).await?.concat();
    let seconds = started.elapsed().as_secs_f64();
    for (name, q) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
        run.note(place, time(name), quantile(&mut gaps, q));
    }
    let rate = stage.client.steps() / seconds;
    run.note(place, throughput("throughput"), rate);
    Ok(())
}
