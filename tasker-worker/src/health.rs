//! What a worker reports about itself to monitoring.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasker_shared::outage::{Failing, Outages};
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;

/// How long outcomes may wait before the worker counts as unhealthy: locks of a moment are ordinary.
const WAIT_TOLERATED: Duration = Duration::from_secs(5);

/// The state of a worker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerHealth {
    /// What the database does not let it do, and for how long; empty where all is well.
    pub failing: Vec<Failing>,
    /// Outcomes that the database did not take when they were reported. They are tried again for
    /// as long as the worker lives.
    pub outcomes_waiting: usize,
    /// For how long some outcome has been waiting; `None` where there is none.
    pub outcomes_waiting_for: Option<Duration>,
}

impl WorkerHealth {
    /// Whether the worker can receive, keep and report steps, as far as it knows.
    pub fn is_healthy(&self) -> bool {
        let waited = self.outcomes_waiting_for.unwrap_or_default();
        self.failing.is_empty() && waited < WAIT_TOLERATED
    }

    /// What is wrong, in words; `None` where nothing is.
    pub fn problem(&self) -> Option<String> {
        let mut problems = Vec::new();
        for Failing { doing, lasts, .. } in &self.failing {
            problems.push(format!("could not {doing} for {} s", lasts.as_secs()));
        }
        if let Some(waited) = self.outcomes_waiting_for {
            problems.push(format!(
                "{} outcomes wait to be recorded, since {} s",
                self.outcomes_waiting,
                waited.as_secs()
            ));
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// What the loops of one worker note about themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vitals {
    pub(crate) outages: Outages,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    outcomes: usize,
    since: Option<Instant>,
}

/// An outcome that the database did not take; it waits until this is dropped.
#[derive(Debug)]
pub(crate) struct WaitingOutcome(Arc<Mutex<Waiting>>);

impl Vitals {
    /// Notes that an outcome has to wait.
    pub(crate) fn wait(&self) -> WaitingOutcome {
        let mut waiting = lock(&self.waiting);
        waiting.outcomes += 1;
        waiting.since.get_or_insert_with(Instant::now);
        metrics().outcomes_waiting_changed(1);
        WaitingOutcome(Arc::clone(&self.waiting))
    }

    pub(crate) fn health(&self) -> WorkerHealth {
        let waiting = lock(&self.waiting);
        WorkerHealth {
            failing: self.outages.failing(),
            outcomes_waiting: waiting.outcomes,
            outcomes_waiting_for: waiting.since.map(|since| since.elapsed()),
        }
    }
}

impl Drop for WaitingOutcome {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0);
        waiting.outcomes -= 1;
        if waiting.outcomes == 0 {
            waiting.since = None;
        }
        metrics().outcomes_waiting_changed(-1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_unhealthy_while_outcomes_wait_for_long() {
        let vitals = Vitals::default();
        assert!(vitals.health().is_healthy());

        let (first, second) = (vitals.wait(), vitals.wait());
        assert!(vitals.health().is_healthy(), "a moment is ordinary");
        tokio::time::advance(WAIT_TOLERATED).await;
        let health = vitals.health();
        assert!(!health.is_healthy());
        assert_eq!(health.outcomes_waiting, 2);
        assert_eq!(
            health.problem().as_deref(),
            Some("2 outcomes wait to be recorded, since 5 s")
        );

        drop(first);
        assert_eq!(vitals.health().outcomes_waiting, 1);
        drop(second);
        assert!(vitals.health().is_healthy());
        assert_eq!(vitals.health().problem(), None);
    }

    #[test]
    fn a_worker_is_unhealthy_while_calls_of_a_loop_fail() {
        let vitals = Vitals::default();
        let mut outage = vitals.outages.outage("loop", "look");
        let error = tasker_shared::error::Error::Corrupt("gone".to_owned());

        outage.failed(&error);
        let health = vitals.health();
        assert!(!health.is_healthy());
        assert_eq!(health.problem().as_deref(), Some("could not look for 0 s"));

        outage.over();
        assert!(vitals.health().is_healthy());
    }
}
