//! What the engine should do, in plain Rust: one struct for what the database holds, one method for
//! each call, which changes it and answers what the call should answer.

mod dependents;
mod operators;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{ReceivedStep, StepOutcome};

/// Attempts that the template gives each step.
pub(crate) const MAX_ATTEMPTS: i32 = 2;
/// Delay before a retry, in milliseconds.
pub(crate) const RETRY_MS: i64 = 1000;

/// The graph all tasks of a case share: the parents of each step, by index.
pub(crate) type Graph = Vec<Vec<usize>>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) state: StepState,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    /// May be claimed.
    pub(crate) ready: bool,
    /// When its retry is due, in milliseconds of the case's clock.
    pub(crate) due: Option<i64>,
    pub(crate) receipt: i32,
    pub(crate) worker: Option<String>,
    pub(crate) result: Option<Value>,
    /// Its message is under a lease.
    pub(crate) leased: bool,
    /// The message it was last received or handed on with.
    pub(crate) msg_id: Option<i64>,
    /// When it was last enqueued and when it started, on the case's clock. Of one that started past the
    /// queue both are the same.
    pub(crate) enqueued_ms: Option<i64>,
    pub(crate) started_ms: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) state: TaskState,
    pub(crate) priority: i32,
    pub(crate) steps: Vec<Step>,
}

/// What a batch of moved steps should announce.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Moved {
    pub(crate) stale: Vec<usize>,
    /// The task of each step that became ready.
    pub(crate) ready: Vec<TaskUuid>,
    pub(crate) finished: Vec<TaskUuid>,
    /// Dependents that were put into the queue.
    pub(crate) enqueued: u64,
    /// Dependents that were started in the hands of the reporting worker.
    pub(crate) continued: Vec<StepId>,
}

/// What becomes of the dependents of what is complete.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GoingOn<'a> {
    /// The worker that may go on with them, one for each step that it reports.
    pub(crate) continuing: Option<&'a str>,
    /// Whether others are put into the queue, or left to claims.
    pub(crate) enqueuing: bool,
    /// How many of those the worker may go on with as well.
    pub(crate) room: usize,
}

#[derive(Debug)]
pub(crate) struct Expected {
    graph: Graph,
    pub(crate) now_ms: i64,
    pub(crate) tasks: BTreeMap<TaskUuid, Task>,
}

impl Step {
    fn start(&mut self, worker: &str, now_ms: i64) {
        self.state = StepState::InProgress;
        self.attempt += 1;
        self.receipt += 1;
        self.worker = Some(worker.to_owned());
        self.started_ms = Some(now_ms);
    }

    fn settle(&mut self, state: StepState, result: Option<Value>) {
        self.state = state;
        self.result = result;
        self.ready = false;
        self.due = None;
        self.leased = false;
    }
}

impl Task {
    fn is_active(step: &Step) -> bool {
        step.ready
            || matches!(
                step.state,
                StepState::Enqueued | StepState::InProgress | StepState::WaitingForRetry
            )
    }

    /// Ends the task when nothing of it can move; true when it just ended.
    fn end_if_still(&mut self) -> bool {
        let moves = self.steps.iter().any(Self::is_active);
        if self.state != TaskState::InProgress || moves {
            return false;
        }
        let failed = self.steps.iter().any(|step| step.state == StepState::Error);
        self.state = if failed {
            TaskState::Error
        } else {
            TaskState::Complete
        };
        true
    }

    /// Readies the dependents of a step that was just satisfied; answers how many.
    fn free_dependents(&mut self, graph: &Graph, parent: usize) -> usize {
        let mut freed = 0;
        for (number, parents) in graph.iter().enumerate() {
            let satisfied = |parent: &usize| satisfies_dependents(self.steps[*parent].state);
            if parents.contains(&parent)
                && parents.iter().all(satisfied)
                && self.steps[number].state == StepState::Pending
            {
                self.steps[number].ready = true;
                freed += 1;
            }
        }
        freed
    }
}

impl Expected {
    pub(crate) fn new(graph: Graph) -> Self {
        Self {
            graph,
            now_ms: 0,
            tasks: BTreeMap::new(),
        }
    }

    /// The steps that a step depends on.
    pub(crate) fn parents(&self, id: StepId) -> Vec<StepId> {
        let parents = self.graph[index(id)].iter().map(|parent| StepId {
            task_uuid: id.task_uuid,
            step_no: i32::try_from(parent + 1).unwrap(),
        });
        parents.collect()
    }

    pub(crate) fn submit(&mut self, task_uuid: TaskUuid, priority: i32) {
        let steps = self.graph.iter().map(|parents| Step {
            state: StepState::Pending,
            attempt: 0,
            max_attempts: MAX_ATTEMPTS,
            ready: parents.is_empty(),
            due: None,
            receipt: 0,
            worker: None,
            result: None,
            leased: false,
            msg_id: None,
            enqueued_ms: None,
            started_ms: None,
        });
        let task = Task {
            state: TaskState::Pending,
            priority,
            steps: steps.collect(),
        };
        self.tasks.insert(task_uuid, task);
    }

    pub(crate) fn step(&self, id: StepId) -> &Step {
        &self.tasks[&id.task_uuid].steps[index(id)]
    }

    fn step_mut(&mut self, id: StepId) -> &mut Step {
        let task = self.tasks.get_mut(&id.task_uuid).unwrap();
        &mut task.steps[index(id)]
    }

    pub(crate) fn ids(&self) -> Vec<StepId> {
        let numbers = 1..=i32::try_from(self.graph.len()).unwrap();
        let ids = self.tasks.keys().flat_map(|task_uuid| {
            numbers.clone().map(|step_no| StepId {
                task_uuid: *task_uuid,
                step_no,
            })
        });
        ids.collect()
    }

    pub(crate) fn ready(&self) -> Vec<StepId> {
        let mut ready = self.ids();
        ready.retain(|id| self.step(*id).ready);
        ready
    }

    /// Steps whose message a worker could receive.
    pub(crate) fn receivable(&self) -> Vec<StepId> {
        let mut receivable = self.ids();
        receivable.retain(|id| {
            let step = self.step(*id);
            matches!(step.state, StepState::Enqueued | StepState::InProgress) && !step.leased
        });
        receivable
    }

    /// Which of them are claimed is the engine's choice, as long as it is by priority.
    pub(crate) fn claim(&mut self, claimed: &[StepId]) {
        let least = claimed.iter().map(|id| self.tasks[&id.task_uuid].priority);
        let least = least.min().unwrap_or(i32::MAX);
        for id in claimed {
            assert!(self.step(*id).ready, "{id:?} was claimed and not ready");
            let now_ms = self.now_ms;
            let step = self.step_mut(*id);
            step.state = StepState::Enqueued;
            step.enqueued_ms = Some(now_ms);
            step.ready = false;
            let task = self.tasks.get_mut(&id.task_uuid).unwrap();
            if task.state == TaskState::Pending {
                task.state = TaskState::InProgress;
            }
        }
        for id in self.ready() {
            let left = self.tasks[&id.task_uuid].priority;
            assert!(left <= least, "{id:?} of {left} was left, {least} claimed");
        }
    }

    pub(crate) fn receive(&mut self, received: &ReceivedStep, worker: &str) {
        let now_ms = self.now_ms;
        let step = self.step_mut(received.id);
        assert!(!step.leased, "received under another's lease");
        step.leased = true;
        step.msg_id = Some(received.msg_id);
        if step.state == StepState::Enqueued {
            step.start(worker, now_ms);
            assert_eq!(received.expired, None);
        } else {
            assert_eq!(step.state, StepState::InProgress);
            assert_eq!(received.expired.as_deref(), Some("lease_expired"));
        }
        self.assert_described(received);
    }

    /// A worker was told the attempt and the results of the parents.
    pub(crate) fn assert_described(&self, received: &ReceivedStep) {
        let mut results = serde_json::Map::new();
        for parent in &self.graph[index(received.id)] {
            let parent_step = &self.tasks[&received.id.task_uuid].steps[*parent];
            assert!(satisfies_dependents(parent_step.state));
            results.insert(step_name(*parent), parent_step.result.clone().unwrap());
        }
        assert_eq!(received.dependency_results, results);
        assert_eq!(received.attempt, self.step(received.id).attempt);
        assert_eq!(received.receipt, self.step(received.id).receipt);
    }

    /// Whether an attempt is the current one and runs; by the worker, where one is given.
    pub(crate) fn is_current(&self, step: &ReceivedStep, worker: Option<&str>) -> bool {
        let found = self.step(step.id);
        found.state == StepState::InProgress
            && found.receipt == step.receipt
            && worker.is_none_or(|worker| found.worker.as_deref() == Some(worker))
    }

    pub(crate) fn is_cancelled(&self, id: StepId) -> bool {
        self.tasks[&id.task_uuid].state == TaskState::Cancelled
    }

    /// What is complete goes on with its dependents as it may.
    pub(crate) fn report(
        &mut self,
        reports: &[(ReceivedStep, StepOutcome)],
        going_on: GoingOn<'_>,
    ) -> Moved {
        let mut moved = Moved::default();
        let mut completed = Vec::new();
        let mut again = Vec::new();
        for (position, (received, outcome)) in reports.iter().enumerate() {
            if !self.is_current(received, None) {
                moved.stale.push(position);
                again.push(received);
                continue;
            }
            let id = received.id;
            let cancelled = self.is_cancelled(id);
            let now_ms = self.now_ms;
            let step = self.step_mut(id);
            let leased = step.leased;
            match outcome {
                StepOutcome::Complete(result) => {
                    step.settle(StepState::Complete, Some(result.clone()));
                    completed.push((id, leased, received.msg_id));
                }
                _ if cancelled => step.settle(StepState::Cancelled, None),
                StepOutcome::Retry { after, .. } if step.attempt < step.max_attempts => {
                    step.settle(StepState::WaitingForRetry, None);
                    let delay =
                        after.map_or(RETRY_MS, |after| i64::try_from(after.as_millis()).unwrap());
                    step.due = Some(now_ms + delay);
                }
                _ => step.settle(StepState::Error, None),
            }
        }
        if let Some(worker) = going_on.continuing {
            moved.continued = self.started_by(&again, worker, going_on.enqueuing);
        }
        completed.sort_unstable();
        self.free(&completed, going_on, &mut moved);
        self.end_tasks(&mut moved);
        moved
    }

    pub(crate) fn release(&mut self, steps: &[ReceivedStep], worker: &str) -> Moved {
        let mut moved = Moved::default();
        for (position, received) in steps.iter().enumerate() {
            if !self.is_current(received, Some(worker)) {
                moved.stale.push(position);
                continue;
            }
            let cancelled = self.is_cancelled(received.id);
            let step = self.step_mut(received.id);
            step.leased = false;
            step.attempt -= 1;
            step.worker = None;
            if cancelled {
                step.settle(StepState::Cancelled, None);
            } else {
                step.state = StepState::Enqueued;
            }
        }
        self.end_tasks(&mut moved);
        moved
    }

    fn end_tasks(&mut self, moved: &mut Moved) {
        for (task_uuid, task) in &mut self.tasks {
            if task.end_if_still() {
                moved.finished.push(*task_uuid);
            }
        }
    }

    /// Makes due retries ready; answers how many.
    pub(crate) fn fire(&mut self) -> i32 {
        let mut fired = 0;
        for id in self.ids() {
            let now_ms = self.now_ms;
            let step = self.step_mut(id);
            if step.due.is_some_and(|due| due <= now_ms) {
                step.due = None;
                step.ready = true;
                fired += 1;
            }
        }
        fired
    }

    /// Whether a timer is set or a message under a lease.
    pub(crate) fn something_is_due_later(&self) -> bool {
        let mut ids = self.ids().into_iter();
        ids.any(|id| self.step(id).due.is_some() || self.step(id).leased)
    }

    pub(crate) fn extend(&mut self, step: &ReceivedStep, worker: &str) -> Option<&'static str> {
        if !self.is_current(step, Some(worker)) {
            return Some("stale");
        }
        self.step_mut(step.id).leased = true;
        self.is_cancelled(step.id).then_some("cancelled")
    }

    pub(crate) fn expire_leases(&mut self) {
        for id in self.ids() {
            self.step_mut(id).leased = false;
        }
    }
}

/// The position of a step in its task.
pub(crate) fn index(id: StepId) -> usize {
    usize::try_from(id.step_no - 1).unwrap()
}

/// The name of the step at a position.
pub(crate) fn step_name(index: usize) -> String {
    format!("s{}", index + 1)
}

/// What an attempt returns.
pub(crate) fn result_of(step: &ReceivedStep) -> Value {
    json!({ "step": step.step_name, "attempt": step.attempt })
}

/// Whether steps that depend on one in this state may run.
pub(crate) const fn satisfies_dependents(state: StepState) -> bool {
    matches!(
        state,
        StepState::Complete | StepState::Skipped | StepState::ResolvedManually
    )
}
