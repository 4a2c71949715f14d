//! What happened, as notifications tell it.

use serde::Deserialize;
use tasker_shared::channel::Weighed;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tokio::time::Instant;
use uuid::Uuid;

use crate::commands::{OrchestrationCommand, TriggeredBy};

/// An event about readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskReadinessEvent {
    /// Tasks got ready steps.
    TaskReady(TaskReadyEvent),
    /// Tasks entered a state.
    TaskStateChange(TaskStateChangeEvent),
    /// A namespace was created: tasks of it may follow.
    NamespaceCreated(NamespaceCreatedEvent),
}

/// A task got ready steps, or several of a namespace that are announced together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskReadyEvent {
    /// How many tasks they are.
    #[serde(default)]
    pub task_count: Option<i64>,
    /// The task, where it is one.
    #[serde(default)]
    pub task_uuid: Option<TaskUuid>,
    /// What made them ready.
    pub triggered_by: TriggeredBy,
    /// Their namespace, where they have one in common.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The highest of their priorities.
    #[serde(default)]
    pub priority: Option<i32>,
    /// How many steps are ready.
    #[serde(default)]
    pub ready_steps: Option<i32>,
    /// The step whose move made the task ready.
    #[serde(default)]
    pub step_uuid: Option<Uuid>,
    /// The state that step entered.
    #[serde(default)]
    pub step_state: Option<StepState>,
    /// The state the task entered.
    #[serde(default)]
    pub task_state: Option<TaskState>,
    /// Each of them, where they are several.
    #[serde(default)]
    pub tasks: Vec<ReadyTaskOfSeveral>,
}

/// One of several tasks that got ready steps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReadyTaskOfSeveral {
    /// The task.
    pub task_uuid: TaskUuid,
    /// Its priority.
    pub priority: i32,
    /// How many of its steps are ready.
    pub ready_steps: i32,
    /// The state it is in.
    pub task_state: TaskState,
    /// The step whose move made it ready.
    #[serde(default)]
    pub step_uuid: Option<Uuid>,
    /// The state that step entered.
    #[serde(default)]
    pub step_state: Option<StepState>,
}

/// Tasks of a namespace entered a state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskStateChangeEvent {
    /// The state.
    pub task_state: TaskState,
    /// Their namespace.
    pub namespace: String,
    /// The tasks.
    pub task_uuids: Vec<TaskUuid>,
}

impl From<TaskReadyEvent> for OrchestrationCommand {
    fn from(event: TaskReadyEvent) -> Self {
        Self::ProcessTaskReadiness {
            task_uuid: event.task_uuid,
            namespace: event.namespace,
            priority: event.priority,
            ready_steps: event.ready_steps,
            triggered_by: event.triggered_by,
            step_uuid: event.step_uuid,
            step_state: event.step_state,
            task_state: event.task_state,
        }
    }
}

/// A namespace was created.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NamespaceCreatedEvent {
    /// Its name.
    pub namespace: String,
}

/// An event that concerns the orchestrator as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrchestrationEvent {
    /// The listener got a connection: whatever was announced before may have been missed.
    ListenerConnected,
    /// A retry was scheduled.
    TimerSet,
}

/// Something with the moment at which the process learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// What was learned.
    pub what: T,
    /// When.
    pub at: Instant,
}

impl<T: Weighed> Weighed for Received<T> {
    fn weight(&self) -> usize {
        size_of::<Instant>() + self.what.weight()
    }
}
