//! Tasks that this process submitted a moment ago and would have heard of if they had ended, so that a
//! client that asks for the end right away needs no look.
//!
//! What is known of a task is that it runs, or nothing. Where an end was not heard, as where the listening
//! connection was just lost, the batched look of the waiter finds it.

use std::collections::{HashSet, VecDeque};

use tasker_shared::ids::TaskUuid;

/// Tasks that are remembered of each kind. Those that end between the commit of their submission and the
/// moment at which this process knows of it are few.
const KEPT: usize = 4_096;

/// Tasks that were submitted and, as far as was heard, have not ended.
#[derive(Debug, Default)]
pub(super) struct FreshTasks {
    /// Whether ends are heard.
    hears: bool,
    running: Latest,
    /// Ends of tasks that were not known as running: they may be known in a moment.
    ended: Latest,
}

impl FreshTasks {
    /// From now on ends are heard; before it some may have been missed.
    pub(super) fn hears(&mut self) {
        *self = Self {
            hears: true,
            ..Self::default()
        };
    }

    /// This process submitted the task.
    pub(super) fn submitted(&mut self, task: TaskUuid) {
        if self.hears && !self.ended.set.contains(&task) {
            self.running.insert(task);
        }
    }

    /// The task ended.
    pub(super) fn ended(&mut self, task: TaskUuid) {
        if !self.running.set.remove(&task) {
            self.ended.insert(task);
        }
    }

    /// Whether the task is known not to have ended.
    pub(super) fn runs(&self, task: TaskUuid) -> bool {
        self.running.set.contains(&task)
    }
}

/// The tasks that came last.
#[derive(Debug, Default)]
struct Latest {
    set: HashSet<TaskUuid>,
    order: VecDeque<TaskUuid>,
}

impl Latest {
    fn insert(&mut self, task: TaskUuid) {
        self.set.insert(task);
        self.order.push_back(task);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn task(number: usize) -> TaskUuid {
        TaskUuid(Uuid::from_u128(number as u128))
    }

    fn hearing() -> FreshTasks {
        let mut fresh = FreshTasks::default();
        fresh.hears();
        fresh
    }

    #[test]
    fn a_task_runs_from_its_submission_to_its_end() {
        let mut fresh = hearing();
        assert!(!fresh.runs(task(1)));
        fresh.submitted(task(1));
        assert!(fresh.runs(task(1)));
        fresh.ended(task(1));
        assert!(!fresh.runs(task(1)));
    }

    #[test]
    fn an_end_that_is_heard_before_the_submission_is_known_counts() {
        let mut fresh = hearing();
        fresh.ended(task(1));
        fresh.submitted(task(1));
        assert!(!fresh.runs(task(1)));
    }

    #[test]
    fn nothing_is_known_where_ends_are_not_heard_or_were_missed() {
        let mut fresh = FreshTasks::default();
        fresh.submitted(task(1));
        assert!(!fresh.runs(task(1)));
        fresh.hears();
        fresh.submitted(task(2));
        fresh.hears();
        assert!(!fresh.runs(task(2)));
    }

    #[test]
    fn it_remembers_the_latest_of_however_many() {
        let mut fresh = hearing();
        for number in 0..3 * KEPT {
            fresh.submitted(task(number));
            fresh.ended(task(KEPT * 10 + number));
        }
        assert!(fresh.runs(task(3 * KEPT - 1)));
        assert!(!fresh.runs(task(0)));
        for latest in [&fresh.running, &fresh.ended] {
            assert!(latest.set.len() <= KEPT && latest.order.len() <= KEPT);
        }
    }
}
