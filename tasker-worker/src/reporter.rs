//! Records outcomes: whatever gathered during one call is the batch of the next.
//!
//! Several loops take turns, each with a connection of its own: while one waits for its commit, the
//! next records what came meanwhile.
//!
//! An outcome is not lost while this process lives. A call that failed because the database is away
//! is repeated until it works; outcomes that were recorded by a call whose answer got lost come back
//! as stale and change nothing. A batch that the database refuses is taken apart, so that one
//! outcome which cannot be stored does not hold up the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tasker_shared::announcer::{Announcements, Announcer};
use tasker_shared::channel::{Receiver, Sender, Weighed};
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::steps::{
    Continuation, Locks, ReceivedStep, ReleasedStep, Reported, StepOutcome, StepReport,
    complete_and_continue, complete_steps, release_steps,
};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::backoff::Backoff;
use crate::events::{Described, WorkerEvents};
use crate::held_steps::{Attempt, HeldSteps};
use crate::launcher::{Chain, Occupancy};
use crate::outcome::step_error;

/// What the database is told about a received step.
#[expect(clippy::large_enum_variant, reason = "nearly all are outcomes")]
pub(crate) enum Report {
    /// How its attempt ended, the chain in which a dependent may follow, and what subscribers are
    /// told of it.
    Outcome(StepReport, Option<Chain>, Option<Box<Described>>),
    /// That it goes back unstarted.
    Release(ReleasedStep),
}

impl Weighed for Report {
    fn weight(&self) -> usize {
        match self {
            Self::Outcome(report, _, _) => report.weight(),
            Self::Release(_) => size_of::<Self>(),
        }
    }
}

/// What the loop is configured to do.
#[derive(Clone)]
pub(crate) struct Reporting {
    pub(crate) worker: String,
    pub(crate) batch_size: usize,
    /// The handlers whose steps may follow; none where continuation is off.
    pub(crate) continues_with: Vec<String>,
    pub(crate) lease: Duration,
}

/// The loop that records.
pub(crate) struct Reporter {
    settings: Reporting,
    database: Database,
    connection: DedicatedConnection,
    reports: Arc<Mutex<Receiver<Report>>>,
    completions: Sender<Occupancy>,
    held: Arc<HeldSteps>,
    announcer: Announcer,
    events: WorkerEvents,
    /// Fires when there is no time left to wait for the database.
    give_up: CancellationToken,
    /// What is being recorded; the last part is next.
    outcomes: Vec<Part>,
    releases: Vec<ReleasedStep>,
    backoff: Backoff,
}

/// Outcomes that are recorded by one call.
struct Part {
    reports: Vec<StepReport>,
    /// For each report, the chain in which a dependent may follow.
    chains: Vec<Option<Chain>>,
    /// For each report, what subscribers are told of it.
    described: Vec<Option<Box<Described>>>,
    /// Whether a call failed in a way that leaves open what it did.
    is_uncertain: bool,
    /// Whether it is a single outcome that already stands for a refused one.
    is_substitute: bool,
}

impl Reporter {
    pub(crate) fn new(
        settings: Reporting,
        database: Database,
        (reports, completions): (Arc<Mutex<Receiver<Report>>>, Sender<Occupancy>),
        (held, announcer, events): (Arc<HeldSteps>, Announcer, WorkerEvents),
        give_up: CancellationToken,
    ) -> Self {
        Self {
            settings,
            connection: database.dedicated(),
            database,
            reports,
            completions,
            held,
            announcer,
            events,
            give_up,
            outcomes: Vec::new(),
            releases: Vec::new(),
            backoff: Backoff::new("report outcomes"),
        }
    }

    /// Waits for the next batch; false when there will be none.
    async fn next_batch(&mut self) -> bool {
        let mut batch = Vec::new();
        let limit = self.settings.batch_size;
        if self.reports.lock().await.recv_many(&mut batch, limit).await == 0 {
            return false;
        }
        self.take(batch);
        true
    }

    /// Makes a part of the outcomes.
    fn take(&mut self, batch: Vec<Report>) {
        let mut part = Part {
            reports: Vec::with_capacity(batch.len()),
            chains: Vec::with_capacity(batch.len()),
            described: Vec::with_capacity(batch.len()),
            is_uncertain: false,
            is_substitute: false,
        };
        for report in batch {
            match report {
                Report::Outcome(report, chain, described) => {
                    part.reports.push(report);
                    part.chains.push(chain);
                    part.described.push(described);
                }
                Report::Release(step) => self.releases.push(step),
            }
        }
        if !part.reports.is_empty() {
            self.outcomes.push(part);
        }
    }

    /// Records what there is; false when there was no time left to.
    async fn record(&mut self) -> bool {
        while let Some(part) = self.outcomes.last_mut() {
            let Reporting {
                worker,
                continues_with,
                lease,
                ..
            } = &self.settings;
            let (reports, is_uncertain) = (&part.reports, part.is_uncertain);
            let continuation = Continuation {
                // Asked anew: the outcome may have waited for the database longer than its lease.
                may_continue: part
                    .chains
                    .iter()
                    .map(|chain| chain.as_ref().is_some_and(Chain::may_go_on))
                    .collect(),
                handlers: continues_with,
                lease: *lease,
            };
            let call = self
                .connection
                .call("complete_steps", async |connection| {
                    // What an answer that got lost told of is asked for again.
                    if is_uncertain || continuation.may_continue.contains(&true) {
                        complete_and_continue(
                            connection,
                            worker,
                            reports,
                            &continuation,
                            Locks::Wait,
                        )
                        .await
                    } else {
                        complete_steps(connection, worker, reports, Locks::Wait).await
                    }
                })
                .await;
            match call {
                Ok(reported) => self.recorded(reported).await,
                Err(error) if may_pass(&error) => {
                    part.is_uncertain = true;
                    if !self.pause(&error).await {
                        return false;
                    }
                }
                Err(error) => self.take_apart(&error),
            }
        }
        self.record_releases().await
    }

    async fn record_releases(&mut self) -> bool {
        while !self.releases.is_empty() {
            let worker = &self.settings.worker;
            let steps = &self.releases;
            let call = self
                .connection
                .call("release_steps", async |connection| {
                    release_steps(connection, worker, steps).await
                })
                .await;
            match call {
                Ok(reported) => {
                    self.backoff.succeeded();
                    metrics().steps_released(steps.len() as u64);
                    self.announcer.announce(reported.announcements).await;
                    self.releases.clear();
                }
                Err(error) if may_pass(&error) => {
                    if !self.pause(&error).await {
                        return false;
                    }
                }
                Err(error) => {
                    error!(%error, "could not give steps back; their leases will run out");
                    self.connection = self.database.dedicated();
                    self.releases.clear();
                }
            }
        }
        true
    }

    /// Waits for the database to come back; false when there is no time left.
    async fn pause(&mut self, error: &Error) -> bool {
        let pause = self.backoff.failed(error);
        tokio::select! {
            () = sleep(pause) => true,
            () = self.give_up.cancelled() => false,
        }
    }

    /// The last part was recorded.
    async fn recorded(&mut self, reported: Reported) {
        self.backoff.succeeded();
        let Some(part) = self.outcomes.pop() else {
            return;
        };
        let stale = reported.stale.into_iter().collect::<HashSet<_>>();
        let mut announcements = reported.announcements;
        let mut counts = [("complete", 0), ("retry", 0), ("fail", 0)];
        for (index, report) in part.reports.iter().enumerate() {
            if !stale.contains(&index) {
                counts[outcome_index(&report.outcome)].1 += 1;
                if let Some(described) = &part.described[index] {
                    self.events.recorded(described, &report.outcome).await;
                }
            } else if part.is_uncertain {
                announce_again(&mut announcements, report);
            } else {
                debug!(step = %report.id, receipt = report.receipt, "an outcome came too late");
            }
        }
        for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            metrics().step_outcomes(outcome, count);
        }
        if !part.is_uncertain {
            metrics().stale_outcomes(stale.len() as u64);
        }
        let told_again = reported.continued.iter().filter(|_| part.is_uncertain);
        let told_again = told_again.map(|step| step.id.task_uuid).collect::<Vec<_>>();
        self.go_on(&part.reports, part.chains, reported.continued)
            .await;
        if !told_again.is_empty() {
            // Their leases run since the call whose answer got lost.
            self.held.request_check(told_again);
        }
        self.held.release(part.reports.iter().map(Attempt::from));
        let ended = self.events.of_interest(&announcements.finished);
        self.announcer.announce(announcements).await;
        self.events.tasks_ended(&ended, &mut self.connection).await;
    }

    /// Starts the steps that follow, each in the chain of the one whose message it was handed.
    async fn go_on(
        &mut self,
        reports: &[StepReport],
        chains: Vec<Option<Chain>>,
        continued: Vec<ReceivedStep>,
    ) {
        if continued.is_empty() {
            return;
        }
        let mut following = continued
            .into_iter()
            .map(|step| ((step.namespace.clone(), step.msg_id), step))
            .collect::<HashMap<_, _>>();
        // A step may be told of again that runs already, and that nobody waits for here.
        let places = reports.iter().zip(chains).filter_map(|(report, chain)| {
            let message = (report.namespace.clone(), report.msg_id);
            Some((chain?, following.remove(&message)?))
        });
        let places = places.collect::<Vec<_>>();
        if places.is_empty() {
            return;
        }
        // Told before any of them can end.
        let taken = Occupancy::Taken(places.len());
        let _ = self.completions.send(taken).await;
        let not_started = places
            .into_iter()
            .filter_map(|(chain, step)| chain.follow(step))
            .collect::<Vec<_>>();
        if !not_started.is_empty() {
            let freed = Occupancy::Freed(not_started.len());
            let _ = self.completions.send(freed).await;
            self.take(not_started);
        }
    }

    /// The last part was refused for good: halves it, or lets a failure stand for a single outcome.
    fn take_apart(&mut self, error: &Error) {
        // The connection may be at fault: a prepared statement that no longer fits, for example.
        self.connection = self.database.dedicated();
        let Some(mut part) = self.outcomes.pop() else {
            return;
        };
        let middle = part.reports.len() / 2;
        if middle > 0 {
            let rest = Part {
                reports: part.reports.split_off(middle),
                chains: part.chains.split_off(middle),
                described: part.described.split_off(middle),
                ..part
            };
            self.outcomes.extend([rest, part]);
            return;
        }
        if part.chains.iter().any(Option::is_some) {
            // What was to follow may be at fault: the outcome is tried without it.
            part.chains.fill_with(|| None);
            self.outcomes.push(part);
            return;
        }
        if part.is_substitute {
            error!(%error, "could not report an outcome; its lease will run out");
            self.held.release(part.reports.iter().map(Attempt::from));
            return;
        }
        for report in &mut part.reports {
            let (step, receipt) = (report.id, report.receipt);
            error!(%error, %step, receipt, "the database refuses an outcome; the step fails");
            let message = format!("the outcome could not be stored: {error}");
            report.outcome = StepOutcome::Fail(step_error("report_refused", message, None));
        }
        part.is_substitute = true;
        self.outcomes.push(part);
    }
}

impl Supervised for Reporter {
    const NAME: &'static str = "worker_reporter";

    async fn run(&mut self) {
        loop {
            if !self.record().await {
                let parts = self.outcomes.iter().map(|part| part.reports.len());
                // Not waited for: who waits for reports does so while chains are kept here.
                let unread = self.reports.try_lock().map_or(0, |reports| reports.len());
                let lost = parts.sum::<usize>() + unread;
                error!(
                    lost,
                    "the worker stops with outcomes that the database did not take"
                );
                return;
            }
            if !self.next_batch().await {
                return;
            }
        }
    }
}

/// Whether the same call may work later, when the database is back or migrated.
const fn may_pass(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::Schema(_))
}

const fn outcome_index(outcome: &StepOutcome) -> usize {
    match outcome {
        StepOutcome::Complete(_) => 0,
        StepOutcome::Retry { .. } => 1,
        StepOutcome::Fail(_) => 2,
    }
}

/// An earlier call may have recorded this one and its answer, with all there is to announce, got
/// lost. Announcements are hints: one too many costs a look.
fn announce_again(announcements: &mut Announcements, report: &StepReport) {
    let task = report.id.task_uuid.0;
    announcements.ready.push(task);
    announcements.finished.push(task);
    announcements.timer_set = true;
}
