//! The events in the life of a task. They carry names and states, never payloads.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use uuid::Uuid;

use crate::{
    ids::{StepId, TaskUuid},
    state::TaskState,
};

/// What happened, and when this process learned of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifecycleEvent {
    /// When this process learned of it.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub occurrence: Occurrence,
}

/// Something that happened to a task or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A task was submitted.
    TaskSubmitted {
        /// The task.
        task: TaskUuid,
        /// Its namespace.
        namespace: String,
    },
    /// A task came to its end, whatever it was.
    TaskFinished {
        /// The task.
        task: TaskUuid,
        /// How it ended.
        state: TaskState,
    },
    /// A worker started an attempt at a step.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: i32,
    },
    /// A step is complete.
    StepCompleted {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: i32,
    },
    /// An attempt at a step failed.
    StepFailed {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: i32,
        /// The kind of the error.
        error: String,
        /// Whether the step may be tried again.
        retryable: bool,
    },
}

impl LifecycleEvent {
    /// An event of this moment.
    pub fn now(occurrence: Occurrence) -> Self {
        let at = Utc::now();
        Self { at, occurrence }
    }
}

impl Occurrence {
    /// The name of the kind of event, such as `step_completed`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TaskSubmitted { .. } => "task_submitted",
            Self::TaskFinished { .. } => "task_finished",
            Self::StepStarted { .. } => "step_started",
            Self::StepCompleted { .. } => "step_completed",
            Self::StepFailed { .. } => "step_failed",
        }
    }

    /// The task that it happened to, or whose step it happened to.
    pub const fn task_uuid(&self) -> TaskUuid {
        match self {
            Self::TaskSubmitted { task, .. } | Self::TaskFinished { task, .. } => *task,
            Self::StepStarted { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::StepFailed { step, .. } => step.task_uuid,
        }
    }

    /// The UUID of the step that it happened to.
    pub fn step_uuid(&self) -> Option<Uuid> {
        match self {
            Self::TaskSubmitted { .. } | Self::TaskFinished { .. } => None,
            Self::StepStarted { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::StepFailed { step, .. } => Some(step.step_uuid()),
        }
    }
}

/// As an object with the same first fields for every kind: `event`, `task_uuid`, `step_uuid`.
impl Serialize for Occurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Occurrence", 6)?;
        object.serialize_field("event", self.name())?;
        object.serialize_field("task_uuid", &self.task_uuid())?;
        if let Some(step_uuid) = self.step_uuid() {
            object.serialize_field("step_uuid", &step_uuid)?;
        }
        match self {
            Self::TaskSubmitted { namespace, .. } => {
                object.serialize_field("namespace", namespace)?;
            }
            Self::TaskFinished { state, .. } => object.serialize_field("state", state)?,
            Self::StepStarted { attempt, .. } | Self::StepCompleted { attempt, .. } => {
                object.serialize_field("attempt", attempt)?;
            }
            Self::StepFailed {
                attempt,
                error,
                retryable,
                ..
            } => {
                object.serialize_field("attempt", attempt)?;
                object.serialize_field("error", error)?;
                object.serialize_field("retryable", retryable)?;
            }
        }
        object.end()
    }
}
