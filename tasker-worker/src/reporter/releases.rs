//! Steps that go back to their queues unstarted.

use std::time::Duration;

use tasker_shared::announcer::Announcer;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tasker_shared::steps::{ReleasedStep, Reported, release_steps};
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;
use tracing::error;

/// Pause before steps are given back again whose task another transaction holds.
const LOCKED_PAUSE: Duration = Duration::from_millis(100);

/// The steps that one reporter has to give back.
pub(super) struct Releases {
    worker: String,
    steps: Vec<ReleasedStep>,
    /// When they are tried next.
    at: Instant,
    /// Whether they are tried one by one, because one of them cannot go back.
    singly: bool,
    outage: Outage,
}

impl Releases {
    pub(super) fn new(worker: String, outage: Outage) -> Self {
        Self {
            worker,
            steps: Vec::new(),
            at: Instant::now(),
            singly: false,
            outage,
        }
    }

    pub(super) fn push(&mut self, step: ReleasedStep) {
        self.steps.push(step);
    }

    /// When steps are to be tried; `None` where there are none.
    pub(super) fn next_due(&self) -> Option<Instant> {
        (!self.steps.is_empty()).then_some(self.at)
    }

    /// Gives the steps back, where it is time to.
    pub(super) async fn give_back(
        &mut self,
        connection: &mut DedicatedConnection,
        announcer: &Announcer,
    ) {
        while !self.steps.is_empty() && self.at <= Instant::now() {
            let count = if self.singly { 1 } else { self.steps.len() };
            let (worker, steps) = (&self.worker, &self.steps[..count]);
            let call = connection
                .call("release_steps", async |connection| {
                    release_steps(connection, worker, steps).await
                })
                .await;
            match call {
                Ok(reported) => {
                    self.outage.over();
                    self.released(count, &reported);
                    announcer.announce(reported.announcements).await;
                }
                Err(error) if may_pass(&error) => {
                    self.at = Instant::now() + self.outage.failed(&error);
                    // Another one may be what fails.
                    self.steps.rotate_left(1);
                }
                Err(error) if count == 1 => {
                    error!(%error, "could not give a step back; its lease will run out");
                    self.steps.remove(0);
                }
                Err(_) => self.singly = true,
            }
        }
        if self.steps.is_empty() {
            self.singly = false;
        }
    }

    /// The first steps went back, except those whose task another transaction holds.
    fn released(&mut self, count: usize, reported: &Reported) {
        let steps = self.steps.drain(..count).enumerate();
        let is_locked = |(index, step)| reported.locked.contains(&index).then_some(step);
        let locked = steps.filter_map(is_locked).collect::<Vec<_>>();
        metrics().steps_released((count - locked.len()) as u64);
        if !locked.is_empty() {
            self.steps.extend(locked);
            self.at = Instant::now() + LOCKED_PAUSE;
        }
    }
}

/// Whether the same call may work later, when the database is back, mended or migrated.
fn may_pass(error: &Error) -> bool {
    !error.is_about_data() && error.refusal().is_none()
}
