//! Outcomes that are recorded by one call, and what becomes of them when it fails.
//!
//! An outcome is replaced by a failure only where the database says that its data cannot be stored.
//! All else may pass, however long that takes, and the outcome is tried again.

use tasker_shared::channel::Weighed;
use tasker_shared::error::Error;
use tasker_shared::steps::{StepOutcome, StepReport};

use crate::chain::{Chain, Ended, Recording, Standing};
use crate::events::Described;
use crate::health::{Vitals, WaitingOutcome};
use crate::outcome::step_error;

/// Calls that may fail for a reason nobody expects before it is looked for in single outcomes: the
/// first may have met a session that was at fault.
const UNEXPLAINED_FAILURES: u32 = 3;

/// Bytes that one call carries, a larger single outcome aside: what takes too long to send would never
/// arrive, however often the call is repeated.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Outcomes that are recorded by one call.
#[derive(Default)]
pub(super) struct Part {
    /// At least one.
    pub(super) reports: Vec<StepReport>,
    /// For each report, what goes with it.
    pub(super) companions: Vec<Companion>,
    /// Calls that failed for a reason nobody expects.
    failures: u32,
}

/// What goes with the report of an outcome.
#[derive(Default)]
pub(super) struct Companion {
    /// The chain in which a dependent may follow.
    pub(super) chain: Option<Chain>,
    /// What a failure means for the step.
    pub(super) standing: Standing,
    /// What subscribers get.
    pub(super) described: Option<Box<Described>>,
    /// What statistics get.
    pub(super) recording: Option<Recording>,
    /// About how large the report is.
    pub(super) bytes: usize,
    /// Whether a call failed in a way that leaves open what it did.
    pub(super) is_uncertain: bool,
    /// Whether it stands for an outcome that cannot be stored.
    is_substitute: bool,
    /// Set once the database did not take it.
    waiting: Option<WaitingOutcome>,
}

impl Companion {
    /// The report of an attempt that ended, and what goes with it.
    pub(super) fn of(ended: Ended) -> (StepReport, Self) {
        let companion = Self {
            chain: ended.chain,
            standing: ended.standing,
            described: ended.described,
            recording: ended.recording,
            bytes: ended.report.weight(),
            ..Self::default()
        };
        (ended.report, companion)
    }
}

/// What happens to a part whose call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is tried again as it is, after a pause.
    TryAgain,
    /// Its halves are tried by themselves: one outcome must not hold up the others.
    Halve,
    /// The outcome is tried without what was to follow it.
    GoAlone,
    /// The outcome is tried again after the others.
    PutOff,
    /// A failure stands for the outcome.
    Replace,
    /// Nothing can be stored of it.
    GiveUp,
}

impl Part {
    /// Parts of these outcomes, each of which one call may carry.
    pub(super) fn each(outcomes: Vec<(StepReport, Companion)>) -> Vec<Self> {
        let mut parts = Vec::new();
        let (mut part, mut bytes) = (Self::default(), 0);
        for (report, companion) in outcomes {
            bytes += companion.bytes;
            if bytes > MAX_BYTES {
                bytes = companion.bytes;
                parts.push(std::mem::take(&mut part));
            }
            part.push(report, companion);
        }
        parts.push(part);
        parts
    }

    pub(super) fn push(&mut self, report: StepReport, companion: Companion) {
        self.reports.push(report);
        self.companions.push(companion);
    }

    pub(super) const fn len(&self) -> usize {
        self.reports.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.companions.iter().map(|it| it.bytes).sum()
    }

    /// Whether one call may carry both, which reports up to `batch` outcomes.
    pub(super) fn may_absorb(&self, other: &Self, batch: usize) -> bool {
        self.len() + other.len() <= batch && self.bytes() + other.bytes() <= MAX_BYTES
    }

    pub(super) fn is_uncertain(&self) -> bool {
        let mut companions = self.companions.iter();
        companions.any(|companion| companion.is_uncertain)
    }

    /// Notes that a call failed, after which nobody knows what it did, and judges the part.
    pub(super) fn failed(&mut self, error: &Error, vitals: &Vitals) -> Verdict {
        self.wait(vitals);
        for companion in &mut self.companions {
            companion.is_uncertain = true;
        }
        let is_explained = error.is_transient() || matches!(error, Error::Schema(_));
        self.failures = if is_explained { 0 } else { self.failures + 1 };
        let is_theirs = error.is_about_data() || error.refusal().is_some();
        if is_explained || (!is_theirs && self.failures < UNEXPLAINED_FAILURES) {
            Verdict::TryAgain
        } else if self.len() > 1 {
            Verdict::Halve
        } else if self.companions.iter().any(|it| it.chain.is_some()) {
            Verdict::GoAlone
        } else if !is_theirs {
            Verdict::PutOff
        } else if self.companions.iter().any(|it| it.is_substitute) {
            Verdict::GiveUp
        } else {
            Verdict::Replace
        }
    }

    /// Notes that the database did not take the outcomes when they were reported.
    pub(super) fn wait(&mut self, vitals: &Vitals) {
        for companion in &mut self.companions {
            companion.waiting.get_or_insert_with(|| vitals.wait());
        }
    }

    /// Both halves, the second one first.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let middle = self.len() / 2;
        let second = Self {
            reports: self.reports.split_off(middle),
            companions: self.companions.split_off(middle),
            failures: self.failures,
        };
        [second, self]
    }

    /// The same without what was to follow.
    pub(super) fn alone(mut self) -> Self {
        for companion in &mut self.companions {
            companion.chain = None;
        }
        self
    }

    /// The same with a failure for each outcome, because it cannot be stored.
    pub(super) fn replaced(mut self, error: &Error) -> Self {
        for (report, companion) in self.reports.iter_mut().zip(&mut self.companions) {
            let message = format!("the outcome could not be stored: {error}");
            report.outcome = StepOutcome::Fail(step_error("report_refused", message, None));
            companion.is_substitute = true;
            companion.bytes = report.weight();
        }
        self
    }

    /// Takes the outcomes at these positions out.
    pub(super) fn take(&mut self, positions: &[usize]) -> Self {
        let (mut kept, mut taken) = (Self::default(), Self::default());
        let reports = std::mem::take(&mut self.reports).into_iter();
        let companions = std::mem::take(&mut self.companions);
        for (position, (report, companion)) in reports.zip(companions).enumerate() {
            let part = if positions.contains(&position) {
                &mut taken
            } else {
                &mut kept
            };
            part.push(report, companion);
        }
        *self = kept;
        taken
    }

    /// Adds the outcomes of another part.
    pub(super) fn absorb(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.companions.extend(other.companions);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use tasker_shared::ids::{StepId, TaskUuid};
    use uuid::Uuid;

    use super::*;

    /// A part of this many outcomes, each of a step of its own.
    pub(in super::super) fn part(outcomes: i32) -> Part {
        let mut part = Part::default();
        for step_no in 1..=outcomes {
            let report = StepReport {
                id: StepId {
                    task_uuid: TaskUuid(Uuid::from_u128(1)),
                    step_no,
                },
                receipt: 1,
                msg_id: 1,
                namespace: "shop".to_owned(),
                outcome: StepOutcome::Complete(json!(step_no)),
            };
            part.push(report, Companion::default());
        }
        part
    }

    /// The numbers of its steps.
    pub(in super::super) fn steps(part: &Part) -> Vec<i32> {
        part.reports.iter().map(|it| it.id.step_no).collect()
    }

    fn away() -> Error {
        Error::Unavailable {
            message: "away".to_owned(),
        }
    }

    /// An error that nobody expects; nothing says whose fault it is.
    fn unexplained() -> Error {
        Error::Corrupt("a bug".to_owned())
    }

    fn failed(part: &mut Part, error: &Error) -> Verdict {
        part.failed(error, &Vitals::default())
    }

    #[test]
    fn outcomes_outlast_any_outage_together() {
        let mut part = part(200);
        for _ in 0..1000 {
            assert_eq!(failed(&mut part, &away()), Verdict::TryAgain);
        }
        assert!(part.is_uncertain(), "a lost answer may have recorded it");
    }

    #[test]
    fn what_fails_for_no_known_reason_is_isolated_and_never_replaced() {
        let mut several = part(2);
        let verdicts: Vec<_> = (0..3)
            .map(|_| failed(&mut several, &unexplained()))
            .collect();
        let again = Verdict::TryAgain;
        assert_eq!(verdicts, [again, again, Verdict::Halve]);

        let mut single = part(1);
        let verdicts = (0..100).map(|_| failed(&mut single, &unexplained()));
        let late: Vec<_> = verdicts.skip(2).collect();
        assert!(
            late.iter().all(|verdict| *verdict == Verdict::PutOff),
            "{late:?}"
        );
    }

    #[test]
    fn an_outage_in_between_does_not_count_against_a_part() {
        let mut part = part(2);
        for error in [unexplained(), unexplained(), away(), unexplained()] {
            assert_eq!(failed(&mut part, &error), Verdict::TryAgain);
        }
    }

    #[test]
    fn large_outcomes_that_came_together_are_recorded_by_several_calls() {
        let sizes = [1, 2 * MAX_BYTES, MAX_BYTES / 2, MAX_BYTES / 2, 1];
        let outcomes = part(5).reports.into_iter().zip(sizes);
        let outcomes = outcomes.map(|(report, bytes)| {
            let companion = Companion {
                bytes,
                ..Companion::default()
            };
            (report, companion)
        });
        let parts = Part::each(outcomes.collect());
        let parts = parts.iter().map(steps).collect::<Vec<_>>();
        assert_eq!(parts, [vec![1], vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn what_was_taken_out_and_what_was_kept_are_all_there_is() {
        let mut part = part(5);
        let taken = part.take(&[1, 4]);
        assert_eq!(steps(&taken), [2, 5]);
        assert_eq!(steps(&part), [1, 3, 4]);
        assert_eq!((taken.companions.len(), part.companions.len()), (2, 3));
    }

    #[test]
    fn an_outcome_counts_as_waiting_until_it_is_gone() {
        let vitals = Vitals::default();
        let mut part = part(3);
        part.failed(&away(), &vitals);
        part.failed(&away(), &vitals);
        assert_eq!(vitals.health().outcomes_waiting, 3);

        drop(part.take(&[0]));
        assert_eq!(vitals.health().outcomes_waiting, 2);
    }
}
