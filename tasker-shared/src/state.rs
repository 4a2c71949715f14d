//! The states of tasks and steps. PostgreSQL is the authority on the moves between them, because that
//! is where processes race.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declares a state enum with its textual form, as the database spells it.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
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
    /// Where a task stands. `complete`, `error`, `cancelled` and `resolved_manually` are ends; one in
    /// `error` goes on when a failed step of it is retried, skipped or resolved.
    TaskState {
        /// Submitted; nothing of it has been claimed.
        Pending = "pending",
        /// At least one step was claimed, and something can still move.
        InProgress = "in_progress",
        /// Every step ended well.
        Complete = "complete",
        /// Nothing can move and a step failed permanently.
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
        /// It failed permanently.
        Error = "error",
        /// Its task was cancelled before it ended.
        Cancelled = "cancelled",
        /// An operator left it out.
        Skipped = "skipped",
        /// An operator gave it its result.
        ResolvedManually = "resolved_manually",
    }
}

impl TaskState {
    /// Whether the task ended; an operator can still revive one in `error`.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }
}

impl StepState {
    /// Whether the step ended; an operator can still revive one in `error`.
    pub const fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Enqueued | Self::InProgress | Self::WaitingForRetry
        )
    }
}
