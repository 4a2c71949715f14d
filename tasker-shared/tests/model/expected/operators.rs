//! What operators' calls should do.

use serde_json::Value;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::state::{StepState, TaskState};

use super::{Expected, MAX_ATTEMPTS, index};

impl Expected {
    /// An operator's call: true when it should be taken, false when it should be refused.
    pub(crate) fn retry(&mut self, id: StepId) -> bool {
        let task = self.tasks.get_mut(&id.task_uuid).unwrap();
        if !matches!(task.state, TaskState::InProgress | TaskState::Error) {
            return false;
        }
        let step = &mut task.steps[index(id)];
        match step.state {
            StepState::WaitingForRetry => step.due = None,
            StepState::Error => {
                step.state = StepState::Pending;
                step.max_attempts = step.attempt + MAX_ATTEMPTS;
                task.state = TaskState::InProgress;
            }
            _ => return false,
        }
        step.ready = true;
        true
    }

    /// The same for skipping and resolving.
    pub(crate) fn settle(&mut self, id: StepId, state: StepState, result: &Value) -> bool {
        let task = self.tasks.get_mut(&id.task_uuid).unwrap();
        let movable = matches!(
            task.state,
            TaskState::Pending | TaskState::InProgress | TaskState::Error
        );
        let step = &mut task.steps[index(id)];
        let settled = matches!(
            step.state,
            StepState::Pending
                | StepState::Enqueued
                | StepState::WaitingForRetry
                | StepState::Error
        );
        if !movable || !settled {
            return false;
        }
        step.settle(state, Some(result.clone()));
        task.free_dependents(&self.graph, index(id));
        task.state = TaskState::InProgress;
        task.end_if_still();
        true
    }

    /// The same for cancelling.
    pub(crate) fn cancel(&mut self, task_uuid: TaskUuid) -> bool {
        let task = self.tasks.get_mut(&task_uuid).unwrap();
        match task.state {
            TaskState::Pending | TaskState::InProgress | TaskState::Error => {}
            TaskState::Cancelled => return true,
            TaskState::Complete | TaskState::ResolvedManually => return false,
        }
        task.state = TaskState::Cancelled;
        for step in &mut task.steps {
            if matches!(
                step.state,
                StepState::Pending | StepState::Enqueued | StepState::WaitingForRetry
            ) {
                step.settle(StepState::Cancelled, None);
            }
        }
        true
    }

    /// The same for resolving a task.
    pub(crate) fn resolve(&mut self, task_uuid: TaskUuid) -> bool {
        let task = self.tasks.get_mut(&task_uuid).unwrap();
        if task.state != TaskState::Error {
            return false;
        }
        task.state = TaskState::ResolvedManually;
        true
    }
}
