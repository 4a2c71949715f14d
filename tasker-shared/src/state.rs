//! The states of tasks and steps and the moves between them.
//!
//! PostgreSQL is the authority, because that is where processes race; this mirror serves code that
//! reads states and the test that compares the two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares a state enum with its textual form, as the database spells it.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every state, in the order in which they are declared.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The state as the database and every surface spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownState {
                        text: text.to_owned(),
                        expected: &[$($text),+],
                    }),
                }
            }
        }
    };
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state {text:?}, expected one of {}", expected.join(", "))]
pub struct UnknownState {
    text: String,
    expected: &'static [&'static str],
}

states! {
    /// Where a task stands.
    TaskState {
        /// Submitted; nothing of it has been claimed.
        Pending = "pending",
        /// At least one step was claimed, and something can still move.
        InProgress = "in_progress",
        /// Every step ended well.
        Complete = "complete",
        /// Nothing can move and a step failed for good.
        Error = "error",
        /// An operator stopped it.
        Cancelled = "cancelled",
        /// It failed, and an operator dealt with it outside of the system.
        ResolvedManually = "resolved_manually",
    }
}

states! {
    /// Where a step stands.
    StepState {
        /// Waits for the steps it depends on, or to be claimed.
        Pending = "pending",
        /// A message for it lies in the namespace's queue.
        Enqueued = "enqueued",
        /// A worker holds its lease.
        InProgress = "in_progress",
        /// An attempt failed and the next one is due later.
        WaitingForRetry = "waiting_for_retry",
        /// Its handler returned a result.
        Complete = "complete",
        /// It failed for good.
        Error = "error",
        /// Its task was cancelled before it ended.
        Cancelled = "cancelled",
        /// An operator left it out.
        Skipped = "skipped",
        /// An operator gave it its result.
        ResolvedManually = "resolved_manually",
    }
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEvent {
    /// A step of it was claimed, or an operator moved one.
    Start,
    /// Its last step ended well.
    Complete,
    /// Nothing can move any more and a step failed for good.
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
    pub const ALL: &'static [Self] = &[
        Self::Start,
        Self::Complete,
        Self::Fail,
        Self::Resume,
        Self::Cancel,
        Self::Resolve,
    ];
}

impl TaskState {
    /// Whether the task ended; an operator can still revive one in `error`.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }

    /// The state that `event` leads to, or `None` where it is illegal.
    pub const fn after(self, event: TaskEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, TaskEvent::Start) | (Self::Error, TaskEvent::Resume) => {
                Some(Self::InProgress)
            }
            (Self::InProgress, TaskEvent::Complete) => Some(Self::Complete),
            (Self::InProgress, TaskEvent::Fail) => Some(Self::Error),
            (Self::Pending | Self::InProgress | Self::Error, TaskEvent::Cancel) => {
                Some(Self::Cancelled)
            }
            (Self::Error, TaskEvent::Resolve) => Some(Self::ResolvedManually),
            _ => None,
        }
    }
}

/// What can happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
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
    /// It failed for good.
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
    pub const ALL: &'static [Self] = &[
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

impl StepState {
    /// Whether the step ended; an operator can still revive one in `error`.
    pub const fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Enqueued | Self::InProgress | Self::WaitingForRetry
        )
    }

    /// Whether steps that depend on this one may run.
    pub const fn satisfies_dependents(self) -> bool {
        matches!(
            self,
            Self::Complete | Self::Skipped | Self::ResolvedManually
        )
    }

    /// The state that `event` leads to, or `None` where it is illegal.
    pub const fn after(self, event: StepEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending | Self::WaitingForRetry, StepEvent::Enqueue)
            | (Self::InProgress, StepEvent::Release) => Some(Self::Enqueued),
            (Self::Enqueued, StepEvent::Receive) | (Self::Pending, StepEvent::HandOn) => {
                Some(Self::InProgress)
            }
            (Self::InProgress, StepEvent::Complete) => Some(Self::Complete),
            (Self::InProgress, StepEvent::Retry) => Some(Self::WaitingForRetry),
            (Self::InProgress, StepEvent::Fail) => Some(Self::Error),
            (Self::Error, StepEvent::Rerun) => Some(Self::Pending),
            (
                Self::Pending | Self::Enqueued | Self::InProgress | Self::WaitingForRetry,
                StepEvent::Cancel,
            ) => Some(Self::Cancelled),
            (
                Self::Pending | Self::Enqueued | Self::WaitingForRetry | Self::Error,
                StepEvent::Skip,
            ) => Some(Self::Skipped),
            (
                Self::Pending | Self::Enqueued | Self::WaitingForRetry | Self::Error,
                StepEvent::Resolve,
            ) => Some(Self::ResolvedManually),
            _ => None,
        }
    }
}
