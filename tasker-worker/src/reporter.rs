//! Records outcomes: whatever gathered during one call is the batch of the next.
//!
//! Several loops take turns, each with a connection of its own: while one waits for its commit, the
//! next records what came meanwhile.
//!
//! An outcome is not lost while this process lives. A call that failed is repeated until it works,
//! on another connection; outcomes that were recorded by a call whose answer got lost come back as
//! stale and change nothing. Those whose task another transaction holds are tried again by themselves.
//! A batch that cannot be stored is taken apart, so that one outcome does not hold up the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tasker_shared::announcer::{Announcements, Announcer};
use tasker_shared::channel::{Receiver, Sender, Weighed};
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tasker_shared::steps::{
    Continuation, Locks, ReceivedStep, ReleasedStep, Reported, StepOutcome, StepReport,
    complete_and_continue, complete_steps, release_steps,
};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::events::{Described, WorkerEvents};
use crate::health::Vitals;
use crate::held_steps::{Attempt, HeldSteps};
use crate::launcher::{Chain, Occupancy};

mod backlog;
mod part;

use backlog::{Backlog, Wait};
use part::{Companion, Part, Verdict};

/// A call takes milliseconds. After this long, and after a part of the lease at most, the process at
/// its other end may be frozen, and the call is repeated on another connection.
const FROZEN_AFTER: Duration = Duration::from_secs(5);

/// The part of a lease that a call may take at first.
const CALLS_PER_LEASE: u32 = 3;

/// How long a report waits for tasks and steps that another transaction holds. Other reports hold them
/// for milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// How long reports do not wait for locks at all, after one waited in vain: somebody holds a task for
/// long, and whatever is reported together with that task would wait each time.
const LOCKS_SKIPPED_FOR: Duration = Duration::from_secs(5);

/// Pause before steps are given back again whose task another transaction holds.
const LOCKED_RELEASE_PAUSE: Duration = Duration::from_millis(100);

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
    connection: DedicatedConnection,
    reports: Arc<Mutex<Receiver<Report>>>,
    completions: Sender<Occupancy>,
    held: Arc<HeldSteps>,
    announcer: Announcer,
    events: WorkerEvents,
    /// Fires when there is no time left to wait for the database.
    give_up: CancellationToken,
    outcomes: Backlog,
    /// What a call is under way for.
    recording: Option<(Part, Option<Wait>)>,
    outage: Outage,
    releases: Releases,
    /// Until when reports leave out what is locked.
    skips_locked_until: Option<Instant>,
    vitals: Vitals,
    /// Whether nothing more will be received.
    is_closed: bool,
}

/// Steps that go back unstarted.
struct Releases {
    steps: Vec<ReleasedStep>,
    /// When they are tried next.
    at: Instant,
    /// Whether they are tried one by one, because one of them cannot go back.
    singly: bool,
    outage: Outage,
}

/// How a wait for something to do ended.
enum Wake {
    /// There is something to do.
    Work,
    /// There will be nothing more.
    End,
    /// There is no time left.
    GiveUp,
}

impl Reporter {
    pub(crate) fn new(
        settings: Reporting,
        database: &Database,
        (reports, completions): (Arc<Mutex<Receiver<Report>>>, Sender<Occupancy>),
        (held, announcer, events): (Arc<HeldSteps>, Announcer, WorkerEvents),
        (vitals, give_up): (Vitals, CancellationToken),
    ) -> Self {
        let deadline = FROZEN_AFTER.min(settings.lease / CALLS_PER_LEASE);
        Self {
            settings,
            connection: database
                .dedicated()
                .within(deadline)
                .waiting_for_locks(LOCK_TIMEOUT),
            reports,
            completions,
            held,
            announcer,
            events,
            give_up,
            outcomes: Backlog::default(),
            recording: None,
            outage: vitals.outage("report outcomes"),
            releases: Releases {
                steps: Vec::new(),
                at: Instant::now(),
                singly: false,
                outage: vitals.outage("give steps back"),
            },
            skips_locked_until: None,
            vitals,
            is_closed: false,
        }
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> Wake {
        let due = self.next_due();
        if self.is_closed && due.is_none() {
            return Wake::End;
        }
        let mut batch = Vec::new();
        let limit = self.settings.batch_size;
        let reports = &self.reports;
        tokio::select! {
            count = async { reports.lock().await.recv_many(&mut batch, limit).await },
                if !self.is_closed => self.is_closed = count == 0,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            () = self.give_up.cancelled(), if due.is_some() => return Wake::GiveUp,
        }
        self.take(batch);
        Wake::Work
    }

    /// When something is to be tried again.
    fn next_due(&self) -> Option<Instant> {
        let releases = (!self.releases.steps.is_empty()).then_some(self.releases.at);
        self.outcomes.next_due().into_iter().chain(releases).min()
    }

    /// Makes a part of the outcomes.
    fn take(&mut self, batch: Vec<Report>) {
        let mut part = Part::default();
        for report in batch {
            match report {
                Report::Outcome(report, chain, described) => {
                    part.push(report, Companion::new(chain, described));
                }
                Report::Release(step) => self.releases.steps.push(step),
            }
        }
        self.outcomes.push(part);
    }

    /// Records what can be recorded; false when there was no time left to.
    async fn record(&mut self) -> bool {
        while let Some(next) = self.recording.take().or_else(|| self.outcomes.next()) {
            // It stays here during the call, so that a panic does not lose it.
            let (part, waited) = self.recording.insert(next);
            let skips = self
                .skips_locked_until
                .is_some_and(|until| until > Instant::now());
            let locks = if skips || waited.is_some() {
                Locks::Skip
            } else {
                Locks::Wait
            };
            let call = complete(&self.settings, &mut self.connection, part, locks).await;
            let Some((part, waited)) = self.recording.take() else {
                continue;
            };
            match call {
                Ok(reported) => self.recorded(part, waited, reported).await,
                Err(Error::Locked { .. }) if locks == Locks::Wait => {
                    // Nothing was recorded. What can be is, at once.
                    self.skips_locked_until = Some(Instant::now() + LOCKS_SKIPPED_FOR);
                    self.outcomes.push(part);
                }
                Err(error) => {
                    if !self.not_recorded(part, waited, &error).await {
                        return false;
                    }
                }
            }
        }
        self.give_back().await;
        true
    }

    /// Gives steps back that were not started, where it is time to.
    async fn give_back(&mut self) {
        while !self.releases.steps.is_empty() && self.releases.at <= Instant::now() {
            let worker = &self.settings.worker;
            let all = &self.releases.steps;
            let steps = &all[..if self.releases.singly { 1 } else { all.len() }];
            let call = self
                .connection
                .call("release_steps", async |connection| {
                    release_steps(connection, worker, steps).await
                })
                .await;
            let tried = steps.len();
            match call {
                Ok(reported) => {
                    self.releases.outage.over();
                    self.released(tried, reported).await;
                }
                Err(error) if may_pass(&error) => {
                    self.releases.at = Instant::now() + self.releases.outage.failed(&error);
                    // Another one may be what fails.
                    self.releases.steps.rotate_left(1);
                }
                Err(error) if tried == 1 => {
                    error!(%error, "could not give a step back; its lease will run out");
                    self.releases.steps.remove(0);
                }
                Err(_) => self.releases.singly = true,
            }
        }
        if self.releases.steps.is_empty() {
            self.releases.singly = false;
        }
    }

    /// The first steps went back, those aside whose task another transaction holds.
    async fn released(&mut self, count: usize, reported: Reported) {
        let steps = self.releases.steps.drain(..count).enumerate();
        let is_locked = |(index, step)| reported.locked.contains(&index).then_some(step);
        let locked = steps.filter_map(is_locked).collect::<Vec<_>>();
        metrics().steps_released((count - locked.len()) as u64);
        if !locked.is_empty() {
            self.releases.steps.extend(locked);
            self.releases.at = Instant::now() + LOCKED_RELEASE_PAUSE;
        }
        self.announcer.announce(reported.announcements).await;
    }

    /// Waits for the database to come back; false when there is no time left.
    async fn pause(&mut self, error: &Error) -> bool {
        let pause = self.outage.failed(error);
        tokio::select! {
            () = sleep(pause) => true,
            () = self.give_up.cancelled() => false,
        }
    }

    /// The part was recorded, what is locked or stale aside.
    async fn recorded(&mut self, mut part: Part, waited: Option<Wait>, reported: Reported) {
        self.outage.over();
        let is_stale = |index| reported.stale.contains(&index);
        let mut announcements = reported.announcements;
        let mut counts = [("complete", 0), ("retry", 0), ("fail", 0)];
        let mut late = 0;
        let both = part.reports.iter().zip(&part.companions).enumerate();
        for (index, (report, companion)) in both {
            if reported.locked.contains(&index) {
                continue;
            }
            if !is_stale(index) {
                counts[outcome_index(&report.outcome)].1 += 1;
                if let Some(described) = &companion.described {
                    self.events.recorded(described, &report.outcome).await;
                }
            } else if companion.is_uncertain {
                announce_again(&mut announcements, report);
            } else {
                late += 1;
                debug!(step = %report.id, receipt = report.receipt, "an outcome came too late");
            }
        }
        for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            metrics().step_outcomes(outcome, count);
        }
        metrics().stale_outcomes(late);
        if !reported.locked.is_empty() {
            let locked = part.take(&reported.locked);
            self.locked(locked, waited);
        }
        let told_again = reported.continued.iter().filter(|_| part.is_uncertain());
        let told_again = told_again.map(|step| step.id.task_uuid).collect::<Vec<_>>();
        self.held.release(part.reports.iter().map(Attempt::from));
        self.go_on(part, reported.continued).await;
        if !told_again.is_empty() {
            // Their leases run since the call whose answer got lost.
            self.held.request_check(told_again);
        }
        let ended = self.events.of_interest(&announcements.finished);
        self.announcer.announce(announcements).await;
        self.events.tasks_ended(&ended, &mut self.connection).await;
    }

    /// Other transactions hold the tasks of these outcomes; their steps keep their leases.
    fn locked(&mut self, mut part: Part, waited: Option<Wait>) {
        part.wait(&self.vitals);
        let (count, first) = (part.len(), part.reports.first().map(|report| report.id));
        let batch = self.settings.batch_size;
        if self.outcomes.locked(part, waited, batch)
            && let Some(step) = first
        {
            warn!(
                %step,
                count,
                "outcomes wait because another transaction holds their tasks; they are recorded when \
                 it ends, and `tasker doctor` names its session"
            );
        }
    }

    /// Starts the steps that follow, each in the chain of the one whose message it was handed.
    async fn go_on(&mut self, part: Part, continued: Vec<ReceivedStep>) {
        if continued.is_empty() {
            return;
        }
        let mut following = continued
            .into_iter()
            .map(|step| ((step.namespace.clone(), step.msg_id), step))
            .collect::<HashMap<_, _>>();
        // A step may be told of again that runs already, and that nobody waits for here.
        let places = part.reports.into_iter().zip(part.companions);
        let places = places.filter_map(|(report, companion)| {
            let message = (report.namespace, report.msg_id);
            Some((companion.chain?, following.remove(&message)?))
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

    /// The part was not recorded; false when there is no time left to try again.
    async fn not_recorded(&mut self, mut part: Part, waited: Option<Wait>, error: &Error) -> bool {
        let (step, receipt) = match part.reports.first() {
            Some(report) => (report.id, report.receipt),
            None => return true,
        };
        match part.failed(error, &self.vitals) {
            Verdict::TryAgain => {
                self.outcomes.push(part);
                return self.pause(error).await;
            }
            Verdict::PutOff => {
                self.outcomes.failing(part, waited);
                return self.pause(error).await;
            }
            Verdict::Halve => {
                for half in part.halves() {
                    self.outcomes.push(half);
                }
            }
            Verdict::GoAlone => self.outcomes.push(part.alone()),
            Verdict::Replace => {
                error!(%error, %step, receipt, "an outcome cannot be stored; the step fails");
                self.outcomes.push(part.replaced(error));
            }
            Verdict::GiveUp => {
                error!(%error, %step, receipt, "could not report an outcome; its lease will run out");
                self.held.release(part.reports.iter().map(Attempt::from));
            }
        }
        true
    }
}

impl Supervised for Reporter {
    const NAME: &'static str = "worker_reporter";

    async fn run(&mut self) {
        loop {
            let wake = if self.record().await {
                self.wait().await
            } else {
                Wake::GiveUp
            };
            match wake {
                Wake::Work => {}
                Wake::End => return,
                Wake::GiveUp => break,
            }
        }
        // Not waited for: who waits for reports does so while chains are kept here.
        let unread = self.reports.try_lock().map_or(0, |reports| reports.len());
        let lost = self.outcomes.len() + unread;
        error!(
            lost,
            "the worker stops with outcomes that the database did not take"
        );
    }
}

/// Records these outcomes, with what may follow them.
async fn complete(
    settings: &Reporting,
    connection: &mut DedicatedConnection,
    part: &Part,
    locks: Locks,
) -> Result<Reported, Error> {
    let worker = &settings.worker;
    let continuation = Continuation {
        // Asked anew: the outcome may have waited for the database longer than its lease.
        may_continue: part
            .companions
            .iter()
            .map(|it| it.chain.as_ref().is_some_and(Chain::may_go_on))
            .collect(),
        handlers: &settings.continues_with,
        lease: settings.lease,
    };
    connection
        .call("complete_steps", async |connection| {
            let reports = &part.reports;
            // What an answer that got lost told of is asked for again.
            if part.is_uncertain() || continuation.may_continue.contains(&true) {
                complete_and_continue(connection, worker, reports, &continuation, locks).await
            } else {
                complete_steps(connection, worker, reports, locks).await
            }
        })
        .await
}

/// Whether the same call may work later, when the database is back, mended or migrated.
fn may_pass(error: &Error) -> bool {
    !error.is_about_data() && error.refusal().is_none()
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
