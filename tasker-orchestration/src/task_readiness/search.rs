//! How often to look for ready tasks that no notification announced, and for which.

use std::time::Duration;

use tasker_shared::backoff::jittered;

/// Looks that find whatever is ready within a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Search {
    /// Longest time between two looks.
    every: Duration,
    /// How long a task has to have been ready to be found: notifications of younger ones may be on
    /// their way.
    pub(crate) older_than: Duration,
}

impl Search {
    /// Finds every task before it has been ready for longer than `bound`, because the age counts
    /// within that time. An age above half of it is kept to all the same: then a task is found
    /// within that age and half of `bound`.
    pub(crate) fn within(bound: Duration, older_than: Duration) -> Self {
        Self {
            every: bound.saturating_sub(older_than).max(bound / 2),
            older_than,
        }
    }

    /// How long to wait for the next look: a fleet does not look in step.
    pub(crate) fn pause(self) -> Duration {
        jittered(self.every)
    }
}
