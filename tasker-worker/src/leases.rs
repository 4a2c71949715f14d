//! The steps whose lease this worker holds: received, and not yet recorded as ended.
//!
//! Heartbeats read from here what to extend, and lost leases reach the running handler through
//! here. A step stays until its outcome is recorded, so that its lease does not run out while the
//! database is away.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::steps::{ReceivedStep, StepReport};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// Why a running handler is ended by the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abort {
    /// Its attempt is no longer the current one; nobody wants the outcome.
    Stale,
    /// The worker stops and its drain timeout is over.
    WorkerStopped,
}

/// One receipt of one step. Its number alone is not enough: a crash of the server can undo a receipt,
/// and the next one has the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) id: StepId,
    pub(crate) receipt: i32,
    pub(crate) msg_id: i64,
}

impl From<&ReceivedStep> for Attempt {
    fn from(step: &ReceivedStep) -> Self {
        Self {
            id: step.id,
            receipt: step.receipt,
            msg_id: step.msg_id,
        }
    }
}

impl From<&StepReport> for Attempt {
    fn from(report: &StepReport) -> Self {
        Self {
            id: report.id,
            receipt: report.receipt,
            msg_id: report.msg_id,
        }
    }
}

/// The runner's end of a held step.
pub(crate) struct Lease {
    /// Cancelled with the task.
    pub(crate) cancellation: CancellationToken,
    /// Ends the handler at once.
    pub(crate) abort: oneshot::Receiver<Abort>,
}

/// The steps whose lease this worker holds.
#[derive(Default)]
pub(crate) struct Leases {
    steps: Mutex<HashMap<StepId, Held>>,
    /// Tasks of which it was announced that they were cancelled.
    to_check: Mutex<HashSet<TaskUuid>>,
    check_requested: Notify,
}

struct Held {
    attempt: Attempt,
    cancellation: CancellationToken,
    abort: Option<oneshot::Sender<Abort>>,
}

impl Leases {
    /// Takes up steps that were received, all under one lock. An older attempt of the same step,
    /// which lost its lease unnoticed, is ended.
    pub(crate) fn take(&self, attempts: impl IntoIterator<Item = Attempt>) -> Vec<Lease> {
        let mut held = self.lock();
        let attempts = attempts.into_iter();
        attempts
            .map(|attempt| Self::hold(&mut held, attempt))
            .collect()
    }

    fn hold(steps: &mut HashMap<StepId, Held>, attempt: Attempt) -> Lease {
        let (abort, aborted) = oneshot::channel();
        let cancellation = CancellationToken::new();
        let held = Held {
            attempt,
            cancellation: cancellation.clone(),
            abort: Some(abort),
        };
        if let Some(mut earlier) = steps.insert(attempt.id, held) {
            earlier.end(Abort::Stale);
        }
        Lease {
            cancellation,
            abort: aborted,
        }
    }

    /// Takes up a step, unless this very attempt is held.
    pub(crate) fn take_if_new(&self, attempt: Attempt) -> Option<Lease> {
        let mut held = self.lock();
        let earlier = held.get(&attempt.id);
        if earlier.is_some_and(|held| held.attempt == attempt) {
            return None;
        }
        Some(Self::hold(&mut held, attempt))
    }

    /// Whether this very attempt is held.
    pub(crate) fn has(&self, attempt: Attempt) -> bool {
        self.lock()
            .get(&attempt.id)
            .is_some_and(|held| held.attempt == attempt)
    }

    /// Lets go of attempts that ended.
    pub(crate) fn release(&self, attempts: impl IntoIterator<Item = Attempt>) {
        let mut held = self.lock();
        for attempt in attempts {
            let current = held.get(&attempt.id);
            if current.is_some_and(|held| held.attempt == attempt) {
                held.remove(&attempt.id);
            }
        }
    }

    /// The attempts whose lease has to be extended; also those of cancelled tasks, so that their
    /// handlers can wind down undisturbed.
    pub(crate) fn to_extend(&self) -> Vec<(StepId, i32)> {
        self.attempts(|_| true)
    }

    /// Of those, the ones of tasks for which a check was requested since the last call.
    pub(crate) fn to_check(&self) -> Vec<(StepId, i32)> {
        let mut to_check = self.to_check.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = std::mem::take(&mut *to_check);
        drop(to_check);
        self.attempts(|id| tasks.contains(&id.task_uuid))
    }

    fn attempts(&self, wanted: impl Fn(StepId) -> bool) -> Vec<(StepId, i32)> {
        self.lock()
            .iter()
            .filter(|(id, _)| wanted(**id))
            .map(|(id, held)| (*id, held.attempt.receipt))
            .collect()
    }

    /// Asks for a look at the leases of these tasks, now and not at the next heartbeat.
    pub(crate) fn request_check(&self, tasks: impl IntoIterator<Item = TaskUuid>) {
        let mut to_check = self.to_check.lock().unwrap_or_else(PoisonError::into_inner);
        to_check.extend(tasks);
        drop(to_check);
        self.check_requested.notify_one();
    }

    /// Waits for [`Leases::request_check`].
    pub(crate) async fn check_requested(&self) {
        self.check_requested.notified().await;
    }

    /// Notifies the handler that its task was cancelled; answers whether it still runs and did not
    /// know.
    pub(crate) fn cancel(&self, id: StepId, receipt: i32) -> bool {
        let mut steps = self.lock();
        let running = Self::running(&mut steps, id, receipt);
        let Some(held) = running.filter(|held| !held.cancellation.is_cancelled()) else {
            return false;
        };
        held.cancellation.cancel();
        true
    }

    /// Ends the handler; whether it still runs.
    pub(crate) fn abort(&self, id: StepId, receipt: i32) -> bool {
        let mut steps = self.lock();
        let running = Self::running(&mut steps, id, receipt);
        running.map(|held| held.end(Abort::Stale)).is_some()
    }

    fn running(steps: &mut HashMap<StepId, Held>, id: StepId, receipt: i32) -> Option<&mut Held> {
        let held = steps.get_mut(&id)?;
        (held.attempt.receipt == receipt && held.is_running()).then_some(held)
    }

    /// Ends every handler that still runs, because the worker stops; returns how many.
    pub(crate) fn stop_all(&self) -> usize {
        let mut steps = self.lock();
        let running = steps.values_mut().filter(|held| held.is_running());
        running.map(|held| held.end(Abort::WorkerStopped)).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StepId, Held>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn is_running(&self) -> bool {
        self.abort.as_ref().is_some_and(|abort| !abort.is_closed())
    }

    fn end(&mut self, reason: Abort) {
        if let Some(abort) = self.abort.take() {
            // A handler that ended meanwhile does not listen any more.
            let _ = abort.send(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn step(task: u128, step_no: i32) -> StepId {
        StepId {
            task_uuid: TaskUuid(Uuid::from_u128(task << 16)),
            step_no,
        }
    }

    fn attempt(id: StepId, receipt: i32) -> Attempt {
        Attempt {
            id,
            receipt,
            msg_id: 1,
        }
    }

    fn take_one(held: &Leases, id: StepId, receipt: i32) -> Lease {
        held.take([attempt(id, receipt)]).remove(0)
    }

    #[test]
    fn a_step_is_extended_until_its_outcome_is_recorded() {
        let held = Leases::default();
        let _hold = take_one(&held, step(1, 1), 1);

        assert_eq!(held.to_extend(), [(step(1, 1), 1)]);
        held.release([attempt(step(1, 1), 1)]);
        assert!(held.to_extend().is_empty());
    }

    #[test]
    fn a_later_attempt_ends_the_earlier_one_and_is_not_released_with_it() {
        let held = Leases::default();
        let mut first = take_one(&held, step(1, 1), 1);
        let _second = take_one(&held, step(1, 1), 2);

        assert_eq!(first.abort.try_recv(), Ok(Abort::Stale));
        held.release([attempt(step(1, 1), 1)]);
        assert!(held.has(attempt(step(1, 1), 2)));
    }

    #[test]
    fn a_receipt_that_a_crash_gave_the_number_of_an_earlier_one_takes_its_place() {
        let held = Leases::default();
        let mut undone = take_one(&held, step(1, 1), 1);
        let again = Attempt {
            msg_id: 2,
            ..attempt(step(1, 1), 1)
        };

        assert!(!held.has(again));
        let _hold = held.take([again]);

        assert_eq!(undone.abort.try_recv(), Ok(Abort::Stale));
        held.release([attempt(step(1, 1), 1)]);
        assert!(held.has(again));
    }

    #[test]
    fn an_attempt_that_is_held_is_not_taken_up_again() {
        let held = Leases::default();
        let mut lease = held.take_if_new(attempt(step(1, 1), 1)).unwrap();

        assert!(held.take_if_new(attempt(step(1, 1), 1)).is_none());
        assert!(lease.abort.try_recv().is_err(), "it runs on");

        assert!(held.take_if_new(attempt(step(1, 1), 2)).is_some());
        assert_eq!(lease.abort.try_recv(), Ok(Abort::Stale));
    }

    #[test]
    fn a_cancelled_step_is_told_once_and_keeps_its_lease() {
        let held = Leases::default();
        let told = take_one(&held, step(1, 1), 1);

        assert!(held.cancel(step(1, 1), 1));
        assert!(told.cancellation.is_cancelled());
        assert!(!held.cancel(step(1, 1), 1));
        assert_eq!(held.to_extend(), [(step(1, 1), 1)]);
    }

    #[test]
    fn a_handler_that_ended_cannot_lose_its_lease() {
        let held = Leases::default();
        drop(take_one(&held, step(1, 1), 1));

        assert!(!held.abort(step(1, 1), 1));
        assert!(!held.cancel(step(1, 1), 1));
        assert_eq!(held.stop_all(), 0);
        assert!(
            held.has(attempt(step(1, 1), 1)),
            "its outcome is not recorded yet"
        );
    }

    #[tokio::test]
    async fn a_requested_check_is_about_the_named_tasks_and_made_once() {
        let held = Leases::default();
        let _holds = held.take([step(1, 1), step(2, 1), step(2, 2)].map(|id| attempt(id, 1)));

        held.request_check([step(2, 1).task_uuid]);
        held.check_requested().await;

        let mut checked = held.to_check();
        checked.sort_unstable();
        assert_eq!(checked, [(step(2, 1), 1), (step(2, 2), 1)]);
        assert!(held.to_check().is_empty());
    }
}
