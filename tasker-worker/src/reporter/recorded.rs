//! What follows when outcomes are recorded: the handlers' places, announcements, dependents.

use std::collections::HashMap;

use tasker_shared::announcements::Announcements;
use tasker_shared::announcer::count_announced;
use tasker_shared::steps::{ReceivedStep, Reported, StepOutcome, StepReport};
use tasker_shared::telemetry::metrics;
use tracing::{debug, warn};

use super::Reporter;
use super::backlog::Wait;
use super::part::Part;
use crate::chain::{Chain, Following, Recording};
use crate::leases::Attempt;
use crate::namespaces::queue_name;
use crate::places::Promise;

impl Reporter {
    /// The part was recorded, what is locked or stale aside.
    pub(super) async fn recorded(
        &mut self,
        mut part: Part,
        waited: Option<Wait>,
        reported: Reported,
        promise: Promise,
    ) {
        self.outage.over();
        let is_stale = |index| reported.stale.contains(&index);
        let mut announcements = reported.announcements;
        let mut counts = [("complete", 0), ("retry", 0), ("fail", 0)];
        let mut late = 0;
        let both = part.reports.iter().zip(&mut part.companions).enumerate();
        for (index, (report, companion)) in both {
            if reported.locked.contains(&index) {
                continue;
            }
            if !is_stale(index) {
                counts[outcome_index(&report.outcome)].1 += 1;
                if let Some(reason) = companion.standing.failure(&report.outcome) {
                    metrics().step_failed(&report.namespace, reason);
                }
                if let Some(Recording { since, mut lasted }) = companion.recording.take() {
                    lasted.latency = Some(since.elapsed());
                    self.statistics.record_if_sampled(lasted);
                }
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
        metrics().steps_enqueued_on_completion(reported.enqueued);
        self.enqueued.add(reported.enqueued);
        if !reported.locked.is_empty() {
            let locked = part.take(&reported.locked);
            self.locked(locked, waited);
        }
        let told_again = reported.continued.iter().filter(|_| part.is_uncertain());
        let told_again = told_again.map(|step| step.id.task_uuid).collect::<Vec<_>>();
        self.leases.release(part.reports.iter().map(Attempt::from));
        self.start_next(part, reported.continued, promise).await;
        if !told_again.is_empty() {
            // Their leases run since the call whose answer got lost.
            self.leases.request_check(told_again);
        }
        let ended = self.events.of_interest(&announcements.finished);
        if reported.announced {
            count_announced(&announcements);
        } else {
            self.announcer.announce(announcements).await;
        }
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

    /// Starts the steps that follow: each in the chain of the one whose message it was handed, or beside
    /// that, in a chain of its own.
    async fn start_next(&mut self, part: Part, continued: Vec<ReceivedStep>, promise: Promise) {
        let starts = starts(part, continued);
        let beside = starts.iter().filter(|start| start.is_beside);
        self.enqueued.add(beside.count() as u64);
        promise.take(starts.len()).await;
        let mut freed = 0;
        let mut not_started = Vec::new();
        for start in starts {
            match start.chain.start_next(start.step) {
                Following::Runs => continue,
                Following::RunsAlready => {}
                Following::NotStarted(report) => not_started.push(*report),
            }
            freed += 1;
        }
        if freed > 0 {
            self.places.freed(freed).await;
            self.take(not_started);
        }
    }
}

/// A step that is about to start.
struct Start {
    chain: Chain,
    step: ReceivedStep,
    /// Whether its message is its own.
    is_beside: bool,
}

/// The chains in which these steps start. One that nothing waits for here is left out: the answer may
/// repeat it.
fn starts(part: Part, continued: Vec<ReceivedStep>) -> Vec<Start> {
    let reported = part.reports.into_iter().zip(part.companions);
    let mut chains = HashMap::new();
    let mut of_task = HashMap::new();
    for (report, companion) in reported {
        if let Some(chain) = companion.chain {
            let message = (report.namespace, report.msg_id);
            of_task.insert(report.id.task_uuid, message.clone());
            chains.insert(message, chain);
        }
    }
    let (following, beside): (Vec<_>, Vec<_>) = continued
        .into_iter()
        .partition(|step| chains.contains_key(&(step.namespace.clone(), step.msg_id)));
    let beside = beside.into_iter().filter_map(|step| {
        let chain = chains.get(of_task.get(&step.id.task_uuid)?)?.beside();
        Some(Start {
            chain,
            step,
            is_beside: true,
        })
    });
    let mut starts = beside.collect::<Vec<_>>();
    starts.extend(following.into_iter().filter_map(|step| {
        let chain = chains.remove(&(step.namespace.clone(), step.msg_id))?;
        Some(Start {
            chain,
            step,
            is_beside: false,
        })
    }));
    starts
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
    announcements.queues.push(queue_name(&report.namespace));
    announcements.timer_set = true;
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tasker_shared::ids::{StepId, TaskUuid};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn all_that_an_earlier_call_may_have_brought_about_is_announced_again() {
        let task = Uuid::from_u128(7);
        let report = StepReport {
            id: StepId {
                task_uuid: TaskUuid(task),
                step_no: 1,
            },
            receipt: 1,
            msg_id: 1,
            namespace: "shop".to_owned(),
            outcome: StepOutcome::Complete(Value::Null),
        };
        let mut announcements = Announcements::default();

        announce_again(&mut announcements, &report);

        assert_eq!(announcements.ready, [task]);
        assert_eq!(announcements.finished, [task]);
        assert_eq!(announcements.queues, ["worker_shop_queue"]);
        assert!(announcements.timer_set);
    }
}
