//! What moves tasks and steps, and where to: what SQL and the model of the tests are compared with.

use super::{StepState, TaskState};

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskEvent {
    /// A step of it was claimed, or an operator moved one.
    Start,
    /// Its last step ended well.
    Complete,
    /// Nothing can move any more and a step failed permanently.
    Fail,
    /// An operator put a failed step in motion again.
    Resume,
    /// An operator stopped it.
    Cancel,
    /// An operator dealt with the failure elsewhere.
    Resolve,
}

impl TaskEvent {
    /// Every event.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Start,
        Self::Complete,
        Self::Fail,
        Self::Resume,
        Self::Cancel,
        Self::Resolve,
    ];
}

/// The state that `event` leads to, or `None` where it is illegal.
pub(crate) const fn task_after(state: TaskState, event: TaskEvent) -> Option<TaskState> {
    match (state, event) {
        (TaskState::Pending, TaskEvent::Start) | (TaskState::Error, TaskEvent::Resume) => {
            Some(TaskState::InProgress)
        }
        (TaskState::InProgress, TaskEvent::Complete) => Some(TaskState::Complete),
        (TaskState::InProgress, TaskEvent::Fail) => Some(TaskState::Error),
        (TaskState::Pending | TaskState::InProgress | TaskState::Error, TaskEvent::Cancel) => {
            Some(TaskState::Cancelled)
        }
        (TaskState::Error, TaskEvent::Resolve) => Some(TaskState::ResolvedManually),
        _ => None,
    }
}

/// What can happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepEvent {
    /// An orchestrator claimed it and sent its message.
    Enqueue,
    /// A worker received it.
    Receive,
    /// A worker was handed it with the end of a step it depends on, past the queue.
    HandOn,
    /// A worker gave it back unstarted.
    Release,
    /// Its handler returned a result.
    Complete,
    /// An attempt failed and there are more.
    Retry,
    /// It failed permanently.
    Fail,
    /// Its task was cancelled.
    Cancel,
    /// An operator wants a failed step run again.
    Rerun,
    /// An operator leaves it out.
    Skip,
    /// An operator gives it its result.
    Resolve,
}

impl StepEvent {
    /// Every event.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Enqueue,
        Self::Receive,
        Self::HandOn,
        Self::Release,
        Self::Complete,
        Self::Retry,
        Self::Fail,
        Self::Cancel,
        Self::Rerun,
        Self::Skip,
        Self::Resolve,
    ];
}

/// The state that `event` leads to, or `None` where it is illegal.
pub(crate) const fn step_after(state: StepState, event: StepEvent) -> Option<StepState> {
    match (state, event) {
        (StepState::Pending | StepState::WaitingForRetry, StepEvent::Enqueue)
        | (StepState::InProgress, StepEvent::Release) => Some(StepState::Enqueued),
        (StepState::Enqueued, StepEvent::Receive) | (StepState::Pending, StepEvent::HandOn) => {
            Some(StepState::InProgress)
        }
        (StepState::InProgress, StepEvent::Complete) => Some(StepState::Complete),
        (StepState::InProgress, StepEvent::Retry) => Some(StepState::WaitingForRetry),
        (StepState::InProgress, StepEvent::Fail) => Some(StepState::Error),
        (StepState::Error, StepEvent::Rerun) => Some(StepState::Pending),
        (
            StepState::Pending
            | StepState::Enqueued
            | StepState::InProgress
            | StepState::WaitingForRetry,
            StepEvent::Cancel,
        ) => Some(StepState::Cancelled),
        (
            StepState::Pending
            | StepState::Enqueued
            | StepState::WaitingForRetry
            | StepState::Error,
            StepEvent::Skip,
        ) => Some(StepState::Skipped),
        (
            StepState::Pending
            | StepState::Enqueued
            | StepState::WaitingForRetry
            | StepState::Error,
            StepEvent::Resolve,
        ) => Some(StepState::ResolvedManually),
        _ => None,
    }
}
