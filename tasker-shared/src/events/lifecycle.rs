//! The events in the life of tasks and steps. They carry names and states, never payloads.
//!
//! An event is a move from one state to another, as the logs of transitions have it; its name
//! follows from the two states.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
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

/// A move of a task or a step, sent as it happens. What does not apply is left out.
#[derive(Serialize, ToSchema)]
#[schema(as = LifecycleEvent)]
pub struct EventDocument<'a> {
    /// What happened.
    event: Occurrence,
    /// When.
    at: DateTime<Utc>,
    /// The task.
    #[schema(value_type = Uuid, example = "01890a5d-ac96-774b-bcce-b302099a0000")]
    task_uuid: TaskUuid,
    /// Namespace of its template.
    #[schema(example = "fulfillment")]
    namespace: &'a str,
    /// Its template.
    #[schema(example = "fulfillment/order_fulfillment@1.0.0")]
    template: &'a str,
    /// The step that moved; left out where it was the task itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "charge")]
    step: Option<&'a str>,
    /// Identity of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a0003")]
    step_uuid: Option<Uuid>,
    /// The step's attempt; 0 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<i32>,
    /// The state left; left out where the task was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "in_progress")]
    from_state: Option<&'static str>,
    /// The state entered.
    #[schema(example = "waiting_for_retry")]
    to_state: &'static str,
    /// Whether a failed step will be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    /// Who moved it: an orchestrator, a worker or an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    /// Why, where a reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Kind of the error of a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "timeout")]
    error: Option<&'a str>,
}

impl<'a> From<&'a LifecycleEvent> for EventDocument<'a> {
    fn from(event: &'a LifecycleEvent) -> Self {
        let occurrence = event.occurrence();
        let document = Self {
            event: occurrence,
            at: event.at,
            task_uuid: event.task_uuid,
            namespace: &event.namespace,
            template: &event.template,
            step: None,
            step_uuid: None,
            attempt: None,
            from_state: None,
            to_state: "",
            retryable: None,
            actor: event.actor.as_deref(),
            reason: event.reason.as_deref(),
            error: event.error.as_deref(),
        };
        match &event.moved {
            Moved::Task { from, to } => Self {
                from_state: from.map(TaskState::as_str),
                to_state: to.as_str(),
                ..document
            },
            Moved::Step {
                step_no,
                name,
                attempt,
                from,
                to,
            } => {
                let id = StepId {
                    task_uuid: event.task_uuid,
                    step_no: *step_no,
                };
                let has_failed = occurrence == Occurrence::StepFailed;
                Self {
                    step: Some(name),
                    step_uuid: Some(id.step_uuid()),
                    attempt: Some(*attempt),
                    from_state: Some(from.as_str()),
                    to_state: to.as_str(),
                    retryable: has_failed.then_some(*to == StepState::WaitingForRetry),
                    ..document
                }
            }
        }
    }
}

/// As its [`EventDocument`].
impl Serialize for LifecycleEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventDocument::from(self).serialize(serializer)
    }
}
