//! Steps that run one after the other on one message, and what is reported of them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tasker_shared::channel::{Sender, Weighed};
use tasker_shared::database::Database;
use tasker_shared::state::StepState;
use tasker_shared::statistics::{Lasted, SampledStatisticsCollector, SampledStep, TimedEvent};
use tasker_shared::steps::{ReceivedStep, ReleasedStep, StepOutcome, StepReport, Unfit};
use tasker_shared::telemetry::metrics;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::events::{Described, WorkerEvents};
use crate::handler::AnyHandler;
use crate::handlers::Handlers;
use crate::leases::{Attempt, Lease, Leases};
use crate::outcome::step_error;
use crate::place::TakenPlace;
use crate::places::Places;
use crate::step::Step;
use crate::step_runner;

/// A step follows another on the same message while no more than one part of its lease is over.
const LEASE_PARTS: u32 = 3;

/// How long a step waits for a place. Where steps that follow others and steps that were received
/// want the same one, one of them comes too late; its timeout runs since it was handed out, and the
/// database allows a second more.
const PLACE_TIMEOUT: Duration = Duration::from_millis(500);

/// What is reported to the database about a received step.
#[expect(clippy::large_enum_variant, reason = "nearly all are outcomes")]
pub(crate) enum Report {
    /// How its attempt ended.
    Outcome(Ended),
    /// That it goes back unstarted.
    Release(ReleasedStep),
}

impl Weighed for Report {
    fn weight(&self) -> usize {
        match self {
            Self::Outcome(ended) => ended.report.weight(),
            Self::Release(_) => size_of::<Self>(),
        }
    }
}

/// An attempt that ended.
pub(crate) struct Ended {
    /// How.
    pub(crate) report: StepReport,
    /// The chain in which a dependent may follow.
    pub(crate) chain: Option<Chain>,
    /// What a failure of it means for the step.
    pub(crate) standing: Standing,
    /// What subscribers get of it.
    pub(crate) described: Option<Box<Described>>,
    /// What statistics get of it, where it is complete.
    pub(crate) recording: Option<Recording>,
}

/// Where an attempt stands among those of its step.
#[derive(Default)]
pub(crate) struct Standing {
    is_last: bool,
    cancellation: CancellationToken,
}

impl Standing {
    fn new(step: &ReceivedStep, cancellation: &CancellationToken) -> Self {
        Self {
            is_last: step.attempt >= step.max_attempts,
            cancellation: cancellation.clone(),
        }
    }

    /// Why this outcome makes the step fail permanently, where it does.
    pub(crate) fn failure(&self, outcome: &StepOutcome) -> Option<&'static str> {
        match outcome {
            _ if self.cancellation.is_cancelled() => None,
            StepOutcome::Fail(_) => Some("permanent"),
            StepOutcome::Retry { .. } if self.is_last => Some("retries_exhausted"),
            StepOutcome::Retry { .. } | StepOutcome::Complete(_) => None,
        }
    }
}

/// An outcome on its way into the database, as far as statistics know it.
pub(crate) struct Recording {
    /// When the handler ended.
    pub(crate) since: Instant,
    /// The event, which lasts since then.
    pub(crate) lasted: Lasted,
}

/// What every running step needs to come to its end, and to be followed by another.
#[derive(Clone)]
pub(crate) struct Running {
    /// For handlers that ask for the results of other steps.
    pub(crate) database: Arc<Database>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) events: WorkerEvents,
    pub(crate) statistics: Arc<SampledStatisticsCollector>,
    pub(crate) reports: Sender<Report>,
    pub(crate) places: Arc<Places>,
    /// A permit for each handler that may run; see [`PLACE_TIMEOUT`].
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) max_result_bytes: usize,
    pub(crate) lease: Duration,
    /// How many steps may follow one another without a trip through the queue.
    pub(crate) continuation_limit: u32,
}

/// What became of a step that was to follow.
pub(crate) enum Following {
    Runs,
    /// It ran already: an answer told of it again.
    RunsAlready,
    /// It cannot be started, and there is something to report.
    NotStarted(Box<Report>),
}

/// Steps that run one after the other on one message. It goes with the outcome of one to the
/// reporter, who starts the next where the outcome brings one.
pub(crate) struct Chain {
    running: Running,
    /// When the message was received.
    since: Instant,
    /// Steps that followed the one that came from the queue.
    followed: u32,
    /// When the latest of its handlers ended.
    ended: Option<Instant>,
}

impl Chain {
    pub(crate) fn new(running: Running) -> Self {
        Self {
            running,
            since: Instant::now(),
            followed: 0,
            ended: None,
        }
    }

    /// A chain for a step that starts beside the one which follows here, on a message of its own.
    pub(crate) fn beside(&self) -> Self {
        Self {
            running: self.running.clone(),
            since: Instant::now(),
            followed: self.followed,
            ended: self.ended,
        }
    }

    /// Runs the step that follows.
    pub(crate) fn start_next(mut self, step: ReceivedStep) -> Following {
        let running = &self.running;
        let attempt = Attempt::from(&step);
        if running.leases.has(attempt) {
            return Following::RunsAlready;
        }
        if let Some(unfit) = unfit(&step, &running.events) {
            return Following::NotStarted(Box::new(unfit));
        }
        let Some(handler) = running.handlers.get(&step.handler).cloned() else {
            return Following::NotStarted(Box::new(release(step)));
        };
        let Some(lease) = running.leases.take_if_new(attempt) else {
            return Following::RunsAlready;
        };
        metrics().steps_received(1);
        self.followed += 1;
        if let Some(ended) = self.ended {
            metrics().step_continued(ended.elapsed());
        }
        let tasks = running.tasks.clone();
        tasks.spawn(run(handler, step, lease, self));
        Following::Runs
    }

    /// Whether another step may follow at this moment.
    pub(crate) fn may_continue(&self) -> bool {
        let running = &self.running;
        self.followed < running.continuation_limit
            && self.since.elapsed() < running.lease / LEASE_PARTS
            && !running.shutdown.is_cancelled()
    }

    /// The step at the end of the chain ended: hands its outcome over, and the chain with it where
    /// another step may follow.
    async fn report(
        mut self,
        report: StepReport,
        standing: Standing,
        described: Option<Box<Described>>,
        recording: Lasted,
    ) {
        let since = Instant::now();
        self.ended = Some(since);
        let running = self.running.clone();
        let is_complete = matches!(report.outcome, StepOutcome::Complete(_));
        let may_continue = is_complete && self.may_continue();
        let ended = Ended {
            report,
            chain: may_continue.then_some(self),
            standing,
            described,
            recording: is_complete.then_some(Recording {
                since,
                lasted: recording,
            }),
        };
        // The reporter outlives its senders, unless the worker is aborted.
        let _ = running.reports.send(Report::Outcome(ended)).await;
    }
}

/// Runs one step as soon as there is a place for it, and hands its outcome over. Where there is none
/// in time, or the worker stops meanwhile, the step goes back, and the attempt does not count.
pub(crate) async fn run(handler: AnyHandler, received: ReceivedStep, lease: Lease, chain: Chain) {
    let span = info_span!(
        "step",
        task_uuid = %received.id.task_uuid,
        name = received.step_name,
        attempt = received.attempt,
    );
    let running = chain.running.clone();
    let left = run_permitted(handler, received, lease, chain)
        .instrument(span)
        .await;
    let places = running.places;
    match left {
        Left::NotEnded => places.freed(1).await,
        Left::Ended => places.ended().await,
        // Not among the tasks that a drain waits for.
        Left::Kept(kept) => drop(tokio::spawn(async move {
            kept.await;
            places.freed(1).await;
        })),
    }
}

/// How an attempt leaves its place.
enum Left {
    /// It was not run, or nobody wants its outcome.
    NotEnded,
    /// Its outcome was handed over.
    Ended,
    /// What it started keeps the place.
    Kept(Kept),
}

/// The place of an attempt that has ended, where what it started keeps it; ends when it is free.
type Kept = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn run_permitted(
    handler: AnyHandler,
    received: ReceivedStep,
    lease: Lease,
    chain: Chain,
) -> Left {
    let running = chain.running.clone();
    let attempt = Attempt::from(&received);
    let received_at = Instant::now();
    let mut ran = lasted(TimedEvent::ReceivedToEnded, &received);
    let recording = lasted(TimedEvent::EndedToSuccessorsReady, &received);
    let permit = tokio::select! {
        biased;
        permit = Arc::clone(&running.permits).acquire_owned(), if !running.shutdown.is_cancelled() =>
            permit.ok(),
        () = running.shutdown.cancelled() => None,
        () = sleep(PLACE_TIMEOUT) => None,
    };
    let Some(permit) = permit else {
        running.leases.release([attempt]);
        let _ = running.reports.send(release(received)).await;
        return Left::NotEnded;
    };
    let described = running.events.describe(&received, &lease.cancellation);
    if let Some(described) = &described {
        let follows = chain.followed > 0;
        let from = if follows {
            StepState::Pending
        } else {
            StepState::Enqueued
        };
        running.events.started(described, from).await;
    }
    let started = Instant::now();
    let namespace = received.namespace.clone();
    let name = received.handler.clone();
    let standing = Standing::new(&received, &lease.cancellation);
    metrics().running_steps_changed(1);
    let taken = TakenPlace::new();
    let step = Step::new(
        received,
        &running.database,
        lease.cancellation,
        taken.place(),
    );
    let outcome = step_runner::run(&handler, step, lease.abort, running.max_result_bytes).await;
    metrics().running_steps_changed(-1);
    metrics().step_ran(&name, started.elapsed());
    let kept = taken.attempt_ended().map(|released| -> Kept {
        Box::pin(async move {
            released.await;
            drop(permit);
        })
    });
    let Some(outcome) = outcome else {
        running.leases.release([attempt]);
        return kept.map_or(Left::NotEnded, Left::Kept);
    };
    log(&name, &outcome);
    ran.latency = Some(received_at.elapsed());
    ran.failed = !matches!(outcome, StepOutcome::Complete(_));
    running.statistics.record_if_sampled(ran);
    let report = StepReport {
        id: attempt.id,
        receipt: attempt.receipt,
        msg_id: attempt.msg_id,
        namespace,
        outcome,
    };
    if kept.is_none() {
        running.places.ending();
    }
    chain.report(report, standing, described, recording).await;
    kept.map_or(Left::Ended, Left::Kept)
}

/// An event of a step that took a time which is not known yet.
pub(crate) const fn lasted(event: TimedEvent, step: &ReceivedStep) -> Lasted {
    Lasted {
        event,
        task_uuid: step.id.task_uuid,
        step: Some(SampledStep {
            number: step.id.step_no,
            receipt: step.receipt,
        }),
        priority: step.priority,
        latency: None,
        failed: false,
    }
}

fn log(handler: &str, outcome: &StepOutcome) {
    match outcome {
        StepOutcome::Complete(_) => debug!(handler, "complete"),
        StepOutcome::Retry { error, .. } => {
            info!(
                handler,
                kind = error.kind,
                error = error.message,
                "the attempt failed"
            );
        }
        StepOutcome::Fail(error) => {
            warn!(
                handler,
                kind = error.kind,
                error = error.message,
                "the step failed permanently"
            );
        }
    }
}

/// The failure of a step that cannot be run, where it is one.
pub(crate) fn unfit(step: &ReceivedStep, events: &WorkerEvents) -> Option<Report> {
    let (kind, message) = match step.unfit.as_ref()? {
        Unfit::TooLarge(problem) => ("input_too_large", problem.clone()),
        Unfit::Unreadable(problem) => ("invalid_input", format!("it cannot be read: {problem}")),
    };
    let error = step_error(kind, message, None);
    Some(outcome(step.clone(), StepOutcome::Fail(error), events))
}

pub(crate) fn outcome(step: ReceivedStep, outcome: StepOutcome, events: &WorkerEvents) -> Report {
    let cancellation = CancellationToken::new();
    let described = events.describe(&step, &cancellation);
    let standing = Standing::new(&step, &cancellation);
    let report = StepReport {
        id: step.id,
        receipt: step.receipt,
        msg_id: step.msg_id,
        namespace: step.namespace,
        outcome,
    };
    Report::Outcome(Ended {
        report,
        chain: None,
        standing,
        described,
        recording: None,
    })
}

pub(crate) fn release(step: ReceivedStep) -> Report {
    Report::Release(ReleasedStep {
        id: step.id,
        receipt: step.receipt,
        msg_id: step.msg_id,
        namespace: step.namespace,
    })
}
