//! Starts what was received: each step in a task of its own, whose outcome goes to the reporter.

use tasker_shared::statistics::TimedEvent;
use tasker_shared::steps::{ReceivedStep, StepOutcome};

use crate::chain::{Chain, Report, Running, lasted, outcome, release, run, unfit};
use crate::events::WorkerEvents;
use crate::handler::AnyHandler;
use crate::leases::{Attempt, Leases};
use crate::outcome::step_error;
use crate::places::Places;

/// Kind of a failure because the lease ran out while the attempt may still have been alive.
const LEASE_EXPIRED: &str = "lease_expired";

/// Starts steps.
pub(crate) struct Launcher {
    running: Running,
}

/// What a received step comes to.
enum Disposition {
    /// Its handler runs.
    Start(AnyHandler, ReceivedStep),
    /// It runs already, in this very worker.
    RunsAlready,
    /// There is something to tell the database.
    Report(Report),
}

impl Launcher {
    pub(crate) const fn new(running: Running) -> Self {
        Self { running }
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.running.leases
    }

    pub(crate) fn places(&self) -> &Places {
        &self.running.places
    }

    /// Starts what can be started, and reports the rest; returns how many run.
    pub(crate) fn launch(&self, received: Vec<ReceivedStep>) -> usize {
        let mut started = Vec::with_capacity(received.len());
        let mut told = Vec::new();
        for step in received {
            match self.decide(step) {
                Disposition::Start(handler, step) => started.push((handler, step)),
                Disposition::RunsAlready => {}
                Disposition::Report(report) => told.push(report),
            }
        }
        let count = started.len();
        self.running.places.launched(count);
        let attempts = started.iter().map(|(_, step)| Attempt::from(step));
        let leases = self.running.leases.take(attempts);
        for ((handler, step), lease) in started.into_iter().zip(leases) {
            let enqueued = lasted(TimedEvent::EnqueuedToReceived, &step);
            self.running.statistics.record_if_sampled(enqueued);
            let chain = Chain::new(self.running.clone());
            self.running.tasks.spawn(run(handler, step, lease, chain));
        }
        self.tell(told);
        count
    }

    /// Gives steps back that were received and will not be started.
    pub(crate) fn give_back(&self, received: Vec<ReceivedStep>) {
        let events = &self.running.events;
        let reports = received.into_iter().map(|step| not_started(step, events));
        self.tell(reports.collect());
    }

    fn decide(&self, step: ReceivedStep) -> Disposition {
        // The receipt renewed the lease, so what lost it during an outage can go on; and so can what
        // was received before the server crashed and forgot about it.
        let expired_as = step.expired.as_deref().unwrap_or(LEASE_EXPIRED);
        if expired_as == LEASE_EXPIRED && self.running.leases.has(Attempt::from(&step)) {
            return Disposition::RunsAlready;
        }
        if step.expired.is_some() {
            return Disposition::Report(expired(step, &self.running.events));
        }
        if let Some(report) = unfit(&step, &self.running.events) {
            return Disposition::Report(report);
        }
        // Only what is known here is asked for.
        match self.running.handlers.get(&step.handler) {
            Some(handler) => Disposition::Start(handler.clone(), step),
            None => Disposition::Report(release(step)),
        }
    }

    /// Hands reports over without waiting: the reporter may be waiting to hand places to the caller.
    fn tell(&self, reports: Vec<Report>) {
        if reports.is_empty() {
            return;
        }
        let sender = self.running.reports.clone();
        self.running.tasks.spawn(async move {
            for report in reports {
                // The reporter outlives its senders, unless the worker is aborted.
                let _ = sender.send(report).await;
            }
        });
    }
}

/// What becomes of a step that was received and will not be started. One that came back after its
/// lease is not ours to give back: the attempt in other hands is lost.
fn not_started(step: ReceivedStep, events: &WorkerEvents) -> Report {
    match step.expired {
        Some(_) => expired(step, events),
        None => release(step),
    }
}

/// The outcome of an attempt whose lease ran out in other hands.
fn expired(step: ReceivedStep, events: &WorkerEvents) -> Report {
    let kind = step.expired.clone();
    let kind = kind.unwrap_or_else(|| LEASE_EXPIRED.to_owned());
    let message = if kind == LEASE_EXPIRED {
        "the worker that ran the attempt did not keep its lease; it may have died".to_owned()
    } else {
        let timeout = step.timeout_ms;
        format!("the attempt did not end within its timeout of {timeout} ms")
    };
    let retry = StepOutcome::Retry {
        error: step_error(&kind, message, None),
        after: None,
    };
    outcome(step, retry, events)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};
    use tasker_shared::config::MpscChannelsConfig;
    use tasker_shared::ids::{StepId, TaskUuid};
    use uuid::Uuid;

    use super::*;
    use crate::chain::Ended;

    fn received(came_back_as: Option<&str>) -> ReceivedStep {
        ReceivedStep {
            id: StepId {
                task_uuid: TaskUuid(Uuid::nil()),
                step_no: 1,
            },
            msg_id: 3,
            namespace: "shop".to_owned(),
            template: "shop/order@1.0.0".to_owned(),
            step_name: "only".to_owned(),
            handler: "gate".to_owned(),
            attempt: 1,
            receipt: 2,
            max_attempts: 3,
            timeout_ms: 30_000,
            priority: 0,
            context: Value::Null,
            input: Value::Null,
            dependency_results: Map::new(),
            asks_for_results: false,
            expired: came_back_as.map(str::to_owned),
            unfit: None,
        }
    }

    #[tokio::test]
    async fn a_step_that_will_not_be_started_goes_back_unless_it_is_lost_in_other_hands() {
        let events = WorkerEvents::start("worker", &MpscChannelsConfig::default());

        let Report::Release(back) = not_started(received(None), &events) else {
            panic!("it did not go back");
        };
        assert_eq!((back.receipt, back.msg_id), (2, 3));

        let lost = not_started(received(Some(LEASE_EXPIRED)), &events);
        let Report::Outcome(Ended {
            report,
            chain: None,
            ..
        }) = lost
        else {
            panic!("it went back, and the attempt in other hands with it");
        };
        assert_eq!((report.receipt, report.msg_id), (2, 3));
        let StepOutcome::Retry { error, .. } = report.outcome else {
            panic!("it is not tried again: {:?}", report.outcome);
        };
        assert_eq!(error.kind, LEASE_EXPIRED);
    }
}
