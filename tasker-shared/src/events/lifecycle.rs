//! The events in the life of tasks and steps. They carry names and states, never payloads.
//!
//! An event is a move from one state to another, as the logs of transitions have it; its name
//! follows from the two states.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    ids::{StepId, TaskUuid},
    state::{StepState, TaskState},
};

/// A move of a task or of one of its steps, told after the commit that recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleEvent {
    /// When it happened, on the clock of the process or server that reports it.
    pub at: DateTime<Utc>,
    /// The task.
    pub task_uuid: TaskUuid,
    /// Namespace of its template.
    pub namespace: String,
    /// Its template, as `namespace/name@version`.
    pub template: String,
    /// What moved.
    pub moved: Moved,
    /// Who moved it: an orchestrator, a worker or an operator.
    pub actor: Option<String>,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// The kind of the error of a failed attempt.
    pub error: Option<String>,
}

/// What moved, from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// The task itself.
    Task {
        /// The state left; none where it was submitted.
        from: Option<TaskState>,
        /// The state entered.
        to: TaskState,
    },
    /// A step of it.
    Step {
        /// Its number in the template.
        step_no: i32,
        /// Its name.
        name: String,
        /// Its attempt; 0 before the first.
        attempt: i32,
        /// The state left.
        from: StepState,
        /// The state entered.
        to: StepState,
    },
}

/// Declares the names of events with their textual form.
macro_rules! occurrences {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What an event is called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Occurrence { $($(#[$doc])* $variant),+ }

        impl Occurrence {
            /// Every name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as subscribers see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

occurrences! {
    /// A task was submitted.
    TaskSubmitted = "task_submitted",
    /// Its first step was claimed, or an operator moved one.
    TaskStarted = "task_started",
    /// It came to an end, whatever it was.
    TaskFinished = "task_finished",
    /// An operator put it in motion again after a failure.
    TaskReopened = "task_reopened",
    /// A step was put in its queue.
    StepEnqueued = "step_enqueued",
    /// A worker started an attempt.
    StepStarted = "step_started",
    /// A worker gave it back unstarted.
    StepReleased = "step_released",
    /// Its handler returned a result.
    StepCompleted = "step_completed",
    /// An attempt failed.
    StepFailed = "step_failed",
    /// An operator gives a step that failed permanently another chance.
    StepReopened = "step_reopened",
    /// Its task was cancelled before it ended.
    StepCancelled = "step_cancelled",
    /// An operator left it out.
    StepSkipped = "step_skipped",
    /// An operator gave it its result.
    StepResolved = "step_resolved",
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event {text:?}, expected one of {}", names())]
pub struct UnknownOccurrence {
    text: String,
}

impl LifecycleEvent {
    /// What it is called.
    pub const fn occurrence(&self) -> Occurrence {
        self.moved.occurrence()
    }
}

impl Moved {
    const fn occurrence(&self) -> Occurrence {
        match self {
            Self::Task { from, to } => match to {
                TaskState::Pending => Occurrence::TaskSubmitted,
                TaskState::InProgress => match from {
                    Some(TaskState::Error) => Occurrence::TaskReopened,
                    _ => Occurrence::TaskStarted,
                },
                TaskState::Complete
                | TaskState::Error
                | TaskState::Cancelled
                | TaskState::ResolvedManually => Occurrence::TaskFinished,
            },
            Self::Step { from, to, .. } => match to {
                StepState::Pending => Occurrence::StepReopened,
                StepState::Enqueued => match from {
                    StepState::InProgress => Occurrence::StepReleased,
                    _ => Occurrence::StepEnqueued,
                },
                StepState::InProgress => Occurrence::StepStarted,
                StepState::Complete => Occurrence::StepCompleted,
                StepState::WaitingForRetry | StepState::Error => Occurrence::StepFailed,
                StepState::Cancelled => Occurrence::StepCancelled,
                StepState::Skipped => Occurrence::StepSkipped,
                StepState::ResolvedManually => Occurrence::StepResolved,
            },
        }
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Occurrence {
    type Err = UnknownOccurrence;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |occurrence: &&Self| occurrence.as_str() == text;
        Self::ALL
            .iter()
            .find(named)
            .copied()
            .ok_or_else(|| UnknownOccurrence {
                text: text.to_owned(),
            })
    }
}

fn names() -> String {
    let names: Vec<_> = Occurrence::ALL.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

/// As one flat object; what does not apply is left out.
impl Serialize for LifecycleEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let occurrence = self.occurrence();
        object.serialize_entry("event", occurrence.as_str())?;
        object.serialize_entry("at", &self.at)?;
        object.serialize_entry("task_uuid", &self.task_uuid)?;
        object.serialize_entry("namespace", &self.namespace)?;
        object.serialize_entry("template", &self.template)?;
        match &self.moved {
            Moved::Task { from, to } => {
                if let Some(from) = from {
                    object.serialize_entry("from_state", from)?;
                }
                object.serialize_entry("to_state", to)?;
            }
            Moved::Step {
                step_no,
                name,
                attempt,
                from,
                to,
            } => {
                let step = StepId {
                    task_uuid: self.task_uuid,
                    step_no: *step_no,
                };
                object.serialize_entry("step", name)?;
                object.serialize_entry("step_uuid", &step.step_uuid())?;
                object.serialize_entry("attempt", attempt)?;
                object.serialize_entry("from_state", from)?;
                object.serialize_entry("to_state", to)?;
                if occurrence == Occurrence::StepFailed {
                    object.serialize_entry("retryable", &(*to == StepState::WaitingForRetry))?;
                }
            }
        }
        let texts = [
            ("actor", &self.actor),
            ("reason", &self.reason),
            ("error", &self.error),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                object.serialize_entry(key, text)?;
            }
        }
        object.end()
    }
}
