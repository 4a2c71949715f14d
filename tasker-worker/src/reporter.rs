//! Records outcomes: whatever gathered during one call is the batch of the next, with what ends at the
//! same moment.
//!
//! Several loops take turns, each with a connection of its own: while one waits for its commit, the
//! next records what came meanwhile.
//!
//! An outcome is not lost while this process lives. A call that failed is repeated until it works,
//! on another connection; outcomes that were recorded by a call whose answer got lost come back as
//! stale and change nothing. Those whose task another transaction holds are tried again by themselves;
//! when very many are, no more are received, so that the worker receives fewer steps.
//! A batch that cannot be stored is taken apart, so that one outcome does not hold up the others.

use std::sync::Arc;
use std::time::Duration;

use tasker_shared::announcer::Announcer;
use tasker_shared::channel::Receiver;
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tasker_shared::statistics::SampledStatisticsCollector;
use tasker_shared::steps::Locks;
use tasker_shared::supervisor::Supervised;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::chain::Report;
use crate::dead_rows_keeper::Enqueued;
use crate::events::WorkerEvents;
use crate::health::Vitals;
use crate::leases::{Attempt, Leases};
use crate::places::Places;

mod backlog;
mod call;
mod gathering;
mod part;
mod recorded;
mod releases;

use backlog::{Backlog, Wait};
use call::{Way, complete};
use gathering::Gathering;
use part::{Companion, Part, Verdict};
use releases::Releases;

/// A call takes milliseconds. After this long, and after a part of the lease at most, the process at
/// its other end may be frozen, and the call is repeated on another connection.
const FROZEN_AFTER: Duration = Duration::from_secs(5);

/// The part of a lease that a call may take at first.
const CALLS_PER_LEASE: u32 = 3;

/// How long a report waits for tasks and steps that another transaction holds. Other reports hold them
/// for milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// How long reports do not wait for locks at all, after a wait that timed out: another transaction
/// holds a task for long, and whatever is reported together with that task would wait each time.
const LOCKS_SKIPPED_FOR: Duration = Duration::from_secs(5);

/// A commit that notifies holds up all others that do until it is flushed. Where several calls in a row
/// took this long, what they bring about is announced after the commit for a while.
const SLOW_CALL: Duration = Duration::from_millis(10);
const SLOW_CALLS: u32 = 3;
const ANNOUNCES_AFTERWARDS_FOR: Duration = Duration::from_secs(10);

/// What the loop is configured to do.
#[derive(Clone)]
pub(crate) struct Reporting {
    pub(crate) worker: String,
    pub(crate) batch_size: usize,
    /// Bytes of outcomes that one loop keeps before it stops receiving.
    pub(crate) backlog_bytes: usize,
    /// The handlers whose steps may follow; none where continuation is off.
    pub(crate) continues_with: Vec<String>,
    /// Most steps of one call that may start beside those that follow others.
    pub(crate) most_beside: usize,
    /// Whether what outcomes make ready is put into its queue with them.
    pub(crate) enqueues: bool,
    pub(crate) lease: Duration,
}

/// What the loops share.
#[derive(Clone)]
pub(crate) struct ReportingParts {
    pub(crate) reports: Arc<Mutex<Receiver<Report>>>,
    pub(crate) places: Arc<Places>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) announcer: Announcer,
    pub(crate) enqueued: Arc<Enqueued>,
    pub(crate) events: WorkerEvents,
    pub(crate) statistics: Arc<SampledStatisticsCollector>,
    pub(crate) vitals: Vitals,
    /// Fires when there is no time left to wait for the database.
    pub(crate) give_up: CancellationToken,
}

/// The loop that records.
pub(crate) struct Reporter {
    settings: Reporting,
    connection: DedicatedConnection,
    reports: Arc<Mutex<Receiver<Report>>>,
    places: Arc<Places>,
    leases: Arc<Leases>,
    announcer: Announcer,
    enqueued: Arc<Enqueued>,
    events: WorkerEvents,
    statistics: Arc<SampledStatisticsCollector>,
    give_up: CancellationToken,
    gathering: Gathering,
    outcomes: Backlog,
    /// What a call is under way for.
    recording: Option<(Part, Option<Wait>)>,
    outage: Outage,
    releases: Releases,
    /// Until when reports leave out what is locked.
    skips_locked_until: Option<Instant>,
    /// Until when nothing is announced by the transaction that brings it about, and how many of those that
    /// did so were slow in a row.
    announces_afterwards_until: Option<Instant>,
    slow_calls: u32,
    vitals: Vitals,
    /// Whether nothing more will be received.
    is_closed: bool,
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
    pub(crate) fn new(settings: Reporting, database: &Database, parts: ReportingParts) -> Self {
        let ReportingParts {
            reports,
            places,
            leases,
            announcer,
            enqueued,
            events,
            statistics,
            vitals,
            give_up,
        } = parts;
        let worker = settings.worker.clone();
        let deadline = FROZEN_AFTER.min(settings.lease / CALLS_PER_LEASE);
        Self {
            settings,
            connection: database
                .dedicated()
                .within(deadline)
                .waiting_for_locks(LOCK_TIMEOUT),
            reports,
            places,
            leases,
            announcer,
            enqueued,
            events,
            statistics,
            give_up,
            gathering: Gathering::default(),
            outcomes: Backlog::default(),
            recording: None,
            outage: vitals.outages.outage(Self::NAME, "report outcomes"),
            releases: Releases::new(worker, vitals.outages.outage(Self::NAME, "give steps back")),
            skips_locked_until: None,
            announces_afterwards_until: None,
            slow_calls: 0,
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
        let mut gives_up = false;
        // What fills the backlog waits there, so that something is due.
        let receives = !self.is_closed && !self.outcomes.is_full(self.settings.backlog_bytes);
        let (reports, limit) = (&self.reports, self.settings.batch_size);
        let gathered = self
            .gathering
            .gather(reports, &self.places, &mut batch, limit);
        tokio::select! {
            // What came is received even where something is overdue: each round tries some of that.
            biased;
            count = gathered,
                if receives => self.is_closed = count == 0,
            () = self.give_up.cancelled(), if due.is_some() => gives_up = true,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        self.take(batch);
        if gives_up { Wake::GiveUp } else { Wake::Work }
    }

    /// When something is to be tried again.
    fn next_due(&self) -> Option<Instant> {
        let due = [self.outcomes.next_due(), self.releases.next_due()];
        due.into_iter().flatten().min()
    }

    /// Makes parts of the outcomes, mostly one.
    fn take(&mut self, batch: Vec<Report>) {
        let mut outcomes = Vec::with_capacity(batch.len());
        for report in batch {
            match report {
                Report::Outcome(ended) => {
                    let (report, companion) = Companion::of(ended);
                    outcomes.push((report, companion));
                }
                Report::Release(step) => self.releases.push(step),
            }
        }
        for part in Part::each(outcomes) {
            self.outcomes.push(part);
        }
    }

    /// Records what came and some of what waited; false when there was no time left to.
    async fn record(&mut self) -> bool {
        while let Some(next) = self.recording.take().or_else(|| self.outcomes.next()) {
            // It stays here during the call, so that a panic does not lose it.
            let (part, waited) = self.recording.insert(next);
            let skips = lies_ahead(self.skips_locked_until) || waited.is_some();
            // Of an earlier call whose answer got lost, all is announced again.
            let is_alone = part.len() == 1
                && !part.is_uncertain()
                && self.outcomes.len() == 0
                && has_no_more(&self.reports)
                && !lies_ahead(self.announces_afterwards_until);
            let way = match (skips, is_alone) {
                (true, _) => Way::Batch(Locks::Skip),
                (false, false) => Way::Batch(Locks::Wait),
                (false, true) => Way::Announced,
            };
            let started = Instant::now();
            let (settings, places) = (&self.settings, &self.places);
            let call = complete(settings, &mut self.connection, places, part, way).await;
            if way == Way::Announced {
                self.announced_within(started.elapsed());
            }
            let Some((part, waited)) = self.recording.take() else {
                continue;
            };
            match call {
                Ok((reported, promise)) => self.recorded(part, waited, reported, promise).await,
                Err(error) if way != Way::Batch(Locks::Skip) && self.skipping_helps(&error) => {
                    // Nothing was recorded. What can be is, at once.
                    self.skips_locked_until = Some(Instant::now() + LOCKS_SKIPPED_FOR);
                    self.outcomes.push(part);
                }
                Err(error) => {
                    if self.connection.is_transactional() && !error.is_about_data() {
                        // It may be a queue in trouble, past which the call could not go on.
                        self.skips_locked_until = Some(Instant::now() + LOCKS_SKIPPED_FOR);
                    }
                    if !self.not_recorded(part, waited, &error).await {
                        return false;
                    }
                }
            }
        }
        self.releases
            .give_back(&mut self.connection, &self.announcer)
            .await;
        true
    }

    /// Whether a call that skips what is locked, and leaves queues alone, may record what this one did
    /// not. Behind a pooler an error of a queue ends the call, also where it looks like one of the data.
    fn skipping_helps(&self, error: &Error) -> bool {
        matches!(error, Error::Locked { .. })
            || self.settings.enqueues && self.connection.is_transactional() && error.is_about_data()
    }

    /// A call that announced took this long.
    fn announced_within(&mut self, duration: Duration) {
        if duration <= SLOW_CALL {
            self.slow_calls = 0;
            return;
        }
        self.slow_calls += 1;
        if self.slow_calls >= SLOW_CALLS {
            self.slow_calls = 0;
            self.announces_afterwards_until = Some(Instant::now() + ANNOUNCES_AFTERWARDS_FOR);
        }
    }

    /// Waits for the database to come back; false when there is no time left.
    async fn pause(&mut self, error: &Error) -> bool {
        let pause = self.outage.failed(error);
        tokio::select! {
            () = sleep(pause) => true,
            () = self.give_up.cancelled() => false,
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
                self.leases.release(part.reports.iter().map(Attempt::from));
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

fn lies_ahead(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment > Instant::now())
}

/// Whether no report waits: where another loop holds the lock, that waits for one.
fn has_no_more(reports: &Mutex<Receiver<Report>>) -> bool {
    reports
        .try_lock()
        .map_or(true, |reports| reports.is_empty())
}
