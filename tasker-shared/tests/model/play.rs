//! Makes the calls of a case on the database and on the model, and compares.

use std::time::Duration;

use serde_json::json;
use tasker_shared::error::Error;
use tasker_shared::ids::StepId;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::StepState;
use tasker_shared::steps::{self, Continuation, ReceivedStep, ReleasedStep, Reported, StepOutcome};
use tasker_shared::tasks;

use crate::call::{Call, Outcome};
use crate::causes::{assert_causes, be_seen};
use crate::expected::{Expected, GoingOn, Graph, Moved, index, result_of, step_name};
use crate::held::{Held, empty_but_for};
use crate::support::{LEASE, World, act, error, given_back, new_task, report};

/// Tasks of one case.
const MOST_TASKS: usize = 4;
/// Rounds in which everything that works again must come to an end.
const ROUNDS_TO_DRAIN: usize = 200;

/// The worker that reports.
const REPORTER: &str = "worker-0";

pub(crate) struct Play<'a> {
    world: &'a mut World,
    expected: Expected,
    template: String,
    /// All that was ever received, the latest last: what is reported twice or late comes from here.
    received: Vec<(ReceivedStep, String)>,
}

impl<'a> Play<'a> {
    /// A database that is empty except for a template of the graph, and one task.
    pub(crate) async fn start(world: &'a mut World, graph: Graph) -> Self {
        let template = empty_but_for(world, &graph).await;
        be_seen(world).await;
        let mut play = Self {
            world,
            expected: Expected::new(graph),
            template,
            received: Vec::new(),
        };
        play.make(&Call::Submit(0)).await;
        play
    }

    /// Makes one call and compares what is then there.
    pub(crate) async fn make(&mut self, call: &Call) {
        self.call(call).await;
        let held = Held::of(self.world).await;
        for (id, held) in self.expected.ids().into_iter().zip(&held) {
            assert_eq!(*held, Held::expected(&self.expected, id), "after {call:?}");
        }
        assert_eq!(held.len(), self.expected.ids().len());
        assert_causes(self.world, &self.expected).await;
        let findings = self.world.findings().await;
        assert!(findings.is_empty(), "after {call:?}: {findings:#?}");
    }

    async fn call(&mut self, call: &Call) {
        match call {
            Call::Submit(priority) => self.submit(*priority).await,
            Call::Claim(limit) => self.claim(*limit).await,
            Call::Receive { worker, limit } => self.receive(&name(*worker), *limit).await,
            Call::Report {
                picks,
                continuing,
                enqueuing,
                room,
            } => {
                let going_on = GoingOn {
                    continuing: continuing.then_some(REPORTER),
                    enqueuing: *enqueuing,
                    room: *room,
                };
                self.report(picks, going_on).await;
            }
            Call::Release { pick, by_another } => self.release(*pick, *by_another).await,
            Call::Extend { pick, by_another } => self.extend(*pick, *by_another).await,
            Call::ExpireLeases => {
                self.world.expire_leases().await;
                self.expected.expire_leases();
            }
            Call::Advance(ms) => {
                let by = Duration::from_millis(u64::try_from(*ms).unwrap());
                self.world.advance(by).await;
                self.expected.now_ms += ms;
            }
            Call::Fire => self.fire().await,
            Call::Retry(pick) => {
                let id = self.pick_failed(*pick).unwrap_or(self.pick_step(*pick));
                let (task, step) = (id.task_uuid, step_name(index(id)));
                let connection = &mut self.world.connection;
                let done = act(connection, task, Action::RetryStep(&step)).await;
                agree(&done, self.expected.retry(id));
            }
            Call::Settle { step, skip } => self.settle(*step, *skip).await,
            Call::Cancel(pick) => {
                let task = self.pick_step(*pick).task_uuid;
                let connection = &mut self.world.connection;
                let done = act(connection, task, Action::CancelTask).await;
                agree(&done, self.expected.cancel(task));
            }
            Call::Resolve(pick) => {
                let task = self.pick_step(*pick).task_uuid;
                let connection = &mut self.world.connection;
                let done = act(connection, task, Action::ResolveTask).await;
                agree(&done, self.expected.resolve(task));
            }
        }
    }

    fn pick_step(&self, pick: usize) -> StepId {
        let ids = self.expected.ids();
        ids[pick % ids.len()]
    }

    fn pick_failed(&self, pick: usize) -> Option<StepId> {
        let mut ids = self.expected.ids();
        ids.retain(|id| self.expected.step(*id).state == StepState::Error);
        ids.get(pick).copied()
    }

    /// One of what was received, counted from the latest.
    fn pick_received(&self, pick: usize) -> Option<&(ReceivedStep, String)> {
        let back = pick % self.received.len().max(1);
        self.received.iter().rev().nth(back)
    }

    async fn submit(&mut self, priority: i32) {
        if self.expected.tasks.len() == MOST_TASKS {
            return;
        }
        let mut task = new_task(&self.template);
        task.priority = priority;
        let submitted = tasks::submit_tasks(&mut self.world.connection, &[task])
            .await
            .unwrap();
        self.expected.submit(submitted[0].task_uuid, priority);
    }

    async fn claim(&mut self, limit: i32) {
        let ready = self.expected.ready();
        let claimed = readiness::claim_ready_tasks(&mut self.world.connection, "o", limit)
            .await
            .unwrap();
        let steps: i32 = claimed.iter().map(|task| task.ready_steps).sum();
        assert_eq!(steps, limit.min(i32::try_from(ready.len()).unwrap()));

        let held = Held::of(self.world).await;
        let enqueued = held.iter().filter(|held| held.state == "enqueued");
        let mut enqueued = enqueued
            .map(|held| StepId {
                task_uuid: held.task_uuid,
                step_no: held.step_no,
            })
            .collect::<Vec<_>>();
        enqueued.retain(|id| ready.contains(id));
        assert_eq!(i32::try_from(enqueued.len()).unwrap(), steps);
        self.expected.claim(&enqueued);
    }

    async fn receive(&mut self, worker: &str, limit: i32) {
        let receivable = i32::try_from(self.expected.receivable().len()).unwrap();
        let namespaces = ["test".to_owned()];
        let connection = &mut self.world.connection;
        let received = steps::receive_steps(
            connection,
            worker,
            &steps::Demand::of_any(&namespaces, limit, LEASE),
        )
        .await
        .unwrap()
        .steps;
        assert_eq!(
            i32::try_from(received.len()).unwrap(),
            limit.min(receivable)
        );
        for step in received {
            self.expected.receive(&step, worker);
            self.received.push((step, worker.to_owned()));
        }
    }

    async fn report(&mut self, picks: &[(usize, Outcome)], going_on: GoingOn<'_>) {
        let mut batch: Vec<(ReceivedStep, StepOutcome)> = Vec::new();
        for (pick, outcome) in picks {
            let Some((step, _)) = self.pick_received(*pick) else {
                return;
            };
            // Two outcomes of one attempt in one call: which of them counts is left open.
            if batch.iter().any(|(other, _)| other.id == step.id) {
                continue;
            }
            let outcome = match outcome {
                // A worker does not run what comes back after its lease.
                Outcome::Complete if step.expired.is_none() => {
                    StepOutcome::Complete(result_of(step))
                }
                Outcome::Complete => retry_after(None),
                Outcome::Retry(after) => retry_after(*after),
                Outcome::Fail => StepOutcome::Fail(error()),
            };
            batch.push((step.clone(), outcome));
        }
        self.report_batch(batch, going_on).await;
    }

    async fn report_batch(
        &mut self,
        batch: Vec<(ReceivedStep, StepOutcome)>,
        going_on: GoingOn<'_>,
    ) {
        let reports = batch
            .iter()
            .map(|(step, outcome)| report(step, outcome.clone()))
            .collect::<Vec<_>>();
        let continuation = Continuation {
            may_continue: vec![true; reports.len()],
            handlers: &["h".to_owned()],
            lease: LEASE,
        };
        let options = steps::ReportOptions {
            enqueues: going_on.enqueuing,
            continuation: going_on.continuing.map(|_| &continuation),
            room: going_on.room,
            ..steps::ReportOptions::PLAIN
        };
        let connection = &mut self.world.connection;
        let reported = steps::record_outcomes(connection, REPORTER, &reports, options)
            .await
            .unwrap();
        let timer_set = reported.announcements.timer_set;
        let moved = self.expected.report(&batch, going_on);
        assert_same(&reported, &moved);
        let mut continued = reported.continued;
        continued.sort_by_key(|step| step.id);
        for step in &continued {
            self.expected.assert_described(step);
        }
        self.received.extend(
            continued
                .into_iter()
                .map(|step| (step, REPORTER.to_owned())),
        );
        let waits = |(position, (step, _)): (usize, &(ReceivedStep, StepOutcome))| {
            !moved.stale.contains(&position)
                && self.expected.step(step.id).state == StepState::WaitingForRetry
        };
        assert_eq!(timer_set, batch.iter().enumerate().any(waits));
    }

    async fn release(&mut self, pick: usize, by_another: bool) {
        let Some((step, worker)) = self.pick_received(pick).cloned() else {
            return;
        };
        let worker = if by_another { "another" } else { &worker };
        let released = given_back(&step);
        let released = release_one(self.world, worker, released).await;
        let moved = self.expected.release(&[step], worker);
        assert_same(&released, &moved);
    }

    async fn extend(&mut self, pick: usize, by_another: bool) {
        let Some((step, worker)) = self.pick_received(pick).cloned() else {
            return;
        };
        let worker = if by_another { "another" } else { &worker };
        let running = [(step.id, step.receipt)];
        let lost = steps::extend_leases(&mut self.world.connection, worker, &running, LEASE)
            .await
            .unwrap();
        let reasons = lost.iter().map(|lost| lost.reason.as_str());
        let expected = self.expected.extend(&step, worker);
        assert_eq!(reasons.collect::<Vec<_>>(), Vec::from_iter(expected));
    }

    async fn fire(&mut self) {
        let timers = readiness::fire_due_timers(&mut self.world.connection, 1000)
            .await
            .unwrap();
        assert_eq!(timers.fired, self.expected.fire());
        let wakes = !self.expected.receivable().is_empty();
        assert_eq!(!timers.woken_queues.is_empty(), wakes);
        let later = self.expected.something_is_due_later();
        // What lies there is looked at again, in case leases ran out among it.
        assert_eq!(timers.next_due_in.is_some(), later || wakes);
    }

    async fn settle(&mut self, step: usize, skip: bool) {
        let id = self.pick_step(step);
        let name = step_name(index(id));
        let result = if skip {
            json!(null)
        } else {
            json!({ "by": "hand" })
        };
        let (settlement, state) = if skip {
            (Settlement::Skip(result.clone()), StepState::Skipped)
        } else {
            (
                Settlement::Resolve(result.clone()),
                StepState::ResolvedManually,
            )
        };
        let connection = &mut self.world.connection;
        let done = act(
            connection,
            id.task_uuid,
            Action::SettleStep(&name, &settlement),
        )
        .await;
        agree(&done, self.expected.settle(id, state, &result));
    }

    /// Lets everything work from now on: whatever was started comes to an end.
    pub(crate) async fn drain(mut self) {
        for _ in 0..ROUNDS_TO_DRAIN {
            if self
                .expected
                .tasks
                .values()
                .all(|task| task.state.is_terminal())
            {
                break;
            }
            self.make(&Call::ExpireLeases).await;
            self.make(&Call::Advance(10_000)).await;
            self.make(&Call::Fire).await;
            self.make(&Call::Claim(1000)).await;
            let known = self.received.len();
            self.make(&Call::Receive {
                worker: 0,
                limit: 1000,
            })
            .await;
            let batch = self.received[known..].iter().map(|(step, _)| {
                let outcome = match step.expired {
                    None => StepOutcome::Complete(result_of(step)),
                    Some(_) => retry_after(None),
                };
                (step.clone(), outcome)
            });
            self.report_batch(batch.collect(), GoingOn::default()).await;
        }
        for (task_uuid, task) in &self.expected.tasks {
            assert!(task.state.is_terminal(), "{task_uuid} is {}", task.state);
        }
        let twice: i64 = self
            .world
            .value(
                "select count(*) from (
                  select from tasker.step_transitions where to_state = 'complete'
                  group by task_uuid, step_no having count(*) > 1
                ) twice",
            )
            .await;
        assert_eq!(twice, 0);
    }
}

/// Gives one step back at once.
pub(crate) async fn release_one(world: &mut World, worker: &str, step: ReleasedStep) -> Reported {
    let connection = &mut world.connection;
    steps::release_steps(connection, worker, &[step])
        .await
        .unwrap()
}

fn name(worker: u8) -> String {
    format!("worker-{worker}")
}

fn retry_after(ms: Option<u64>) -> StepOutcome {
    StepOutcome::Retry {
        error: error(),
        after: ms.map(Duration::from_millis),
    }
}

/// An operator's call was taken, or refused as a conflict, as the model says.
fn agree(done: &Result<(), Error>, taken: bool) {
    match done {
        Ok(()) => assert!(taken, "it should have been refused"),
        Err(error) => assert!(error.refusal().is_some() && !taken, "{error}"),
    }
}

fn assert_same(reported: &Reported, moved: &Moved) {
    let mut ready = reported.announcements.ready.clone();
    ready.sort_unstable();
    let mut expected = moved.ready.iter().map(|task| task.0).collect::<Vec<_>>();
    expected.sort_unstable();
    assert_eq!(ready, expected);
    let mut finished = reported.announcements.finished.clone();
    finished.sort_unstable();
    let expected = moved.finished.iter().map(|task| task.0);
    assert_eq!(finished, expected.collect::<Vec<_>>());
    assert_eq!(reported.stale, moved.stale);
    assert_eq!(reported.enqueued, moved.enqueued);
    let mut continued = reported
        .continued
        .iter()
        .map(|step| step.id)
        .collect::<Vec<_>>();
    continued.sort_unstable();
    let mut expected = moved.continued.clone();
    expected.sort_unstable();
    assert_eq!(continued, expected);
}
