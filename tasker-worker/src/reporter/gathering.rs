//! Which outcomes go into one call: those that are there, and those of the same moment.

use std::time::Duration;

use futures::FutureExt;
use tasker_shared::channel::Receiver;
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::lies_ahead;
use crate::chain::Report;
use crate::places::Places;

/// A handler that keeps its thread for longer than this computes, and no outcome waits for such ones for
/// a while.
const LONG_TURN: Duration = Duration::from_millis(5);
const GOES_FIRST_FOR: Duration = Duration::from_secs(1);

/// How a loop gathers.
#[derive(Default)]
pub(super) struct Gathering {
    goes_first_until: Option<Instant>,
}

impl Gathering {
    /// Waits for reports; appends up to `limit` and returns how many, 0 when there will be no more. What
    /// was received stays in `batch` where this is cancelled.
    ///
    /// The first of several steps that end at the same moment wakes the loop, on another thread mostly, before
    /// the others have ended. So these get their turn before the call, for as long as it brings more.
    pub(super) async fn gather(
        &mut self,
        reports: &Mutex<Receiver<Report>>,
        places: &Places,
        batch: &mut Vec<Report>,
        limit: usize,
    ) -> usize {
        let mut reports = reports.lock().await;
        let mut count = reports.recv_many(batch, limit).await;
        let mut more = count;
        while more > 0 && count < limit && places.run_others() && !lies_ahead(self.goes_first_until)
        {
            let since = Instant::now();
            yield_now().await;
            if since.elapsed() > LONG_TURN {
                self.goes_first_until = Some(Instant::now() + GOES_FIRST_FOR);
            }
            let waiting = reports.recv_many(batch, limit - count).now_or_never();
            more = waiting.unwrap_or_default();
            count += more;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tasker_shared::channel::{ChannelSpec, Sender, bounded};
    use tasker_shared::ids::{StepId, TaskUuid};
    use tasker_shared::steps::ReleasedStep;
    use uuid::Uuid;

    use super::*;
    use crate::places::Occupancy;

    /// A loop, and steps that run beside it.
    struct Loop {
        gathering: Gathering,
        sender: Sender<Report>,
        reports: Mutex<Receiver<Report>>,
        places: Arc<Places>,
        _changes: Receiver<Occupancy>,
    }

    impl Loop {
        fn beside(running: usize) -> Self {
            let (sender, reports) = bounded(spec("reports"));
            let (sender_of_changes, changes) = bounded(spec("changes"));
            let places = Arc::new(Places::new(10, sender_of_changes));
            places.launched(running);
            Self {
                gathering: Gathering::default(),
                sender,
                reports: Mutex::new(reports),
                places,
                _changes: changes,
            }
        }

        /// One that ends now.
        async fn ends(&self) {
            assert!(self.sender.send(report()).await.is_ok());
        }

        /// One that ends at its next turn, after it computed for so long.
        fn is_about_to_end(&self, after: Duration) {
            let sender = self.sender.clone();
            tokio::spawn(async move {
                let since = Instant::now();
                while since.elapsed() < after {}
                assert!(sender.send(report()).await.is_ok());
            });
        }

        async fn gather(&mut self, limit: usize) -> usize {
            let mut batch = Vec::new();
            let gathering = &mut self.gathering;
            let count = gathering.gather(&self.reports, &self.places, &mut batch, limit);
            let count = count.await;
            assert_eq!(count, batch.len());
            count
        }
    }

    fn spec(name: &'static str) -> ChannelSpec {
        ChannelSpec {
            name,
            component: "worker",
            capacity: 10,
        }
    }

    fn report() -> Report {
        Report::Release(ReleasedStep {
            id: StepId {
                task_uuid: TaskUuid(Uuid::nil()),
                step_no: 1,
            },
            receipt: 1,
            msg_id: 1,
            namespace: "shop".to_owned(),
        })
    }

    #[tokio::test]
    async fn what_ends_at_the_same_moment_is_gathered() {
        let mut reporter = Loop::beside(3);
        reporter.ends().await;
        reporter.is_about_to_end(Duration::ZERO);
        reporter.is_about_to_end(Duration::ZERO);

        assert_eq!(reporter.gather(10).await, 3);
    }

    #[tokio::test]
    async fn no_more_is_gathered_than_one_call_takes() {
        let mut reporter = Loop::beside(3);
        reporter.ends().await;
        reporter.is_about_to_end(Duration::ZERO);
        reporter.is_about_to_end(Duration::ZERO);

        assert_eq!(reporter.gather(2).await, 2);
        assert_eq!(reporter.gather(2).await, 1);
    }

    #[tokio::test]
    async fn where_no_other_step_runs_nothing_is_waited_for() {
        let mut reporter = Loop::beside(1);
        reporter.places.ending();
        reporter.ends().await;
        reporter.is_about_to_end(Duration::ZERO);

        assert_eq!(reporter.gather(10).await, 1);
    }

    #[tokio::test]
    async fn handlers_that_compute_hold_up_one_call_and_not_the_next() {
        let mut reporter = Loop::beside(3);
        reporter.ends().await;
        reporter.is_about_to_end(2 * LONG_TURN);
        assert_eq!(reporter.gather(10).await, 2);
        reporter.ends().await;
        reporter.is_about_to_end(2 * LONG_TURN);

        assert_eq!(reporter.gather(10).await, 1);
    }
}
