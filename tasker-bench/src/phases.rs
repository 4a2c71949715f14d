//! Where the time of one task goes, from the client that sends it to the client that has its answer.
//!
//! It is read from three clocks, which are one on one machine: the client's, the database's and the
//! handlers'. The database's times are those of the log, as the answer shows them for the only attempt of
//! each step; they are taken within the call, before its commit. The first is that of the task's creation,
//! which lies within `submit`: what follows begins while the client still waits for the answer of its
//! submission. All phases less that overlap are the whole time of the task.

use std::time::SystemTime;

use anyhow::{Context, Result};
use tasker_shared::tasks::{StepDetail, TaskDetail};

use crate::client::{Client, Shape};
use crate::figures::{Figure, Place, Run, quantile, time};
use crate::stopwatch::{milliseconds, reading};

/// The phases; where one occurs for several steps it is the sum of a task's.
const PHASES: [Figure; 9] = [
    // The client sends -> it has the answer of the submission.
    time("phase_submit"),
    // The task is created -> the client has that answer: the part of it that the next ones run beside.
    time("phase_submit_overlap"),
    // The task is created -> its first step is enqueued.
    time("phase_submitted_to_enqueued"),
    // The first step is enqueued -> it is received; of the others this is a part of `recorded_to_next`.
    time("phase_enqueued_to_received"),
    // A step is received, or follows by continuation -> its handler begins.
    time("phase_received_to_started"),
    // The handler begins -> it ends.
    time("phase_handler"),
    // The handler ends -> the end is recorded.
    time("phase_ended_to_recorded"),
    // The end of a step is recorded -> the next one is received.
    time("phase_recorded_to_next"),
    // The end of the last step is recorded -> the client has the answer.
    time("phase_recorded_to_answered"),
];

/// A task that a client ran, with the client's clock in milliseconds since 1970.
pub(crate) struct Timed {
    sent: f64,
    /// When the submission was answered.
    submitted: f64,
    /// When the client had the task at its end.
    answered: f64,
    task: TaskDetail,
}

/// What the database and the handler noted of a step.
#[derive(Clone, Copy)]
struct StepTimes {
    enqueued: f64,
    received: f64,
    began: f64,
    ended: f64,
    recorded: f64,
}

impl Timed {
    /// From the submission to the answer.
    pub(crate) fn latency(&self) -> f64 {
        self.answered - self.sent
    }
}

/// Submits a task and waits for its end, with an eye on the clock.
pub(crate) async fn run_one(client: &Client, shape: Shape) -> Result<Timed> {
    let now = || milliseconds(SystemTime::now());
    let sent = now();
    let task_uuid = client.submit(shape).await?;
    let submitted = now();
    let task = client.ended(task_uuid).await?;
    Ok(Timed {
        sent,
        submitted,
        answered: now(),
        task,
    })
}

/// Notes the median of each phase, of tasks whose steps follow each other and run the stopwatch.
pub(crate) fn note(tasks: &[Timed], place: Place, run: &mut Run) -> Result<()> {
    let phases: Option<Vec<_>> = tasks.iter().map(of_task).collect();
    let phases = phases.context("a step has no times, or its handler does not tell any")?;
    for (position, phase) in PHASES.into_iter().enumerate() {
        let mut times: Vec<f64> = phases.iter().map(|phases| phases[position]).collect();
        run.note(place, phase, quantile(&mut times, 0.5));
    }
    Ok(())
}

fn of_task(timed: &Timed) -> Option<[f64; PHASES.len()]> {
    let steps: Option<Vec<StepTimes>> = timed.task.steps.iter().map(of_step).collect();
    let created = milliseconds(timed.task.summary.created_at.into());
    between(
        [timed.sent, created, timed.submitted, timed.answered],
        &steps?,
    )
}

fn of_step(step: &StepDetail) -> Option<StepTimes> {
    let [began, ended] = reading(step)?;
    Some(StepTimes {
        enqueued: milliseconds(step.enqueued_at?.into()),
        received: milliseconds(step.started_at?.into()),
        began,
        ended,
        recorded: milliseconds(step.finished_at?.into()),
    })
}

/// The phases in the order of [`PHASES`]; `None` without steps.
fn between(
    [sent, created, submitted, answered]: [f64; 4],
    steps: &[StepTimes],
) -> Option<[f64; PHASES.len()]> {
    let (first, last) = (steps.first()?, steps.last()?);
    let sum = |span: fn(&StepTimes) -> f64| steps.iter().map(span).sum::<f64>();
    let gaps = steps.windows(2);
    let gaps = gaps.map(|pair| pair[1].received - pair[0].recorded);
    Some([
        submitted - sent,
        submitted - created,
        first.enqueued - created,
        first.received - first.enqueued,
        sum(|step| step.began - step.received),
        sum(|step| step.ended - step.began),
        sum(|step| step.recorded - step.ended),
        gaps.sum(),
        answered - last.recorded,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: StepTimes = StepTimes {
        enqueued: 5.0,
        received: 8.0,
        began: 10.0,
        ended: 11.0,
        recorded: 15.0,
    };
    const SECOND: StepTimes = StepTimes {
        enqueued: 20.0,
        received: 26.0,
        began: 33.0,
        ended: 35.0,
        recorded: 40.0,
    };

    #[test]
    fn each_phase_lasts_from_one_moment_to_the_next() {
        let phases = between([0.0, 3.0, 7.0, 50.0], &[FIRST, SECOND]);
        assert_eq!(
            phases,
            Some([7.0, 4.0, 2.0, 3.0, 9.0, 3.0, 9.0, 11.0, 10.0])
        );
    }

    #[test]
    fn all_phases_but_the_overlap_are_the_whole_time() {
        let phases = between([0.0, 3.0, 7.0, 50.0], &[FIRST, SECOND]).unwrap();
        let [submit, overlap, rest @ ..] = phases;
        let whole = submit - overlap + rest.iter().sum::<f64>();
        assert!((whole - 50.0).abs() < f64::EPSILON, "{phases:?}");
    }
}
