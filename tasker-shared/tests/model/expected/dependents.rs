//! What should become of the dependents of steps that are complete.

use std::cmp::Reverse;

use tasker_shared::ids::StepId;
use tasker_shared::state::StepState;
use tasker_shared::steps::ReceivedStep;

use super::{Expected, GoingOn, Moved, index};

impl Expected {
    /// Readies or enqueues the dependents of completed steps, which come in order, or starts them. Each
    /// completed step says whether its message is under a lease, and which it is.
    pub(super) fn free(
        &mut self,
        completed: &[(StepId, bool, i64)],
        going_on: GoingOn<'_>,
        moved: &mut Moved,
    ) {
        let urgent = self.ready().into_iter().chain(self.receivable());
        let urgent = urgent.map(|id| self.priority(id)).max();
        for (id, ..) in completed {
            let task = self.tasks.get_mut(&id.task_uuid).unwrap();
            task.free_dependents(&self.graph, index(*id));
        }
        let mut followed = Vec::new();
        let mut left = Vec::new();
        for id in self.ids() {
            let parents = self.parents(id);
            let mut done = completed
                .iter()
                .filter(|(parent, ..)| parents.contains(parent));
            let Some((parent, leased, msg_id)) = done.next().copied() else {
                continue;
            };
            if !self.step(id).ready {
                continue;
            }
            let may_start = urgent.is_none_or(|urgent| self.priority(id) >= urgent);
            match going_on.continuing.filter(|_| may_start) {
                Some(worker) if !followed.contains(&parent) => {
                    followed.push(parent);
                    self.start_past_the_queue(id, worker, leased, Some(msg_id));
                    moved.continued.push(id);
                }
                worker => left.push((id, worker)),
            }
        }
        left.sort_by_key(|(id, _)| (Reverse(self.priority(*id)), *id));
        let mut room = going_on.room;
        for (id, worker) in left {
            let now_ms = self.now_ms;
            let step = self.step_mut(id);
            if !going_on.enqueuing {
                moved.ready.push(id.task_uuid);
            } else if let Some(worker) = worker.filter(|_| room > 0) {
                room -= 1;
                self.start_past_the_queue(id, worker, true, None);
                moved.continued.push(id);
            } else {
                step.ready = false;
                step.state = StepState::Enqueued;
                step.enqueued_ms = Some(now_ms);
                moved.enqueued += 1;
            }
        }
    }

    fn priority(&self, id: StepId) -> i32 {
        self.tasks[&id.task_uuid].priority
    }

    fn start_past_the_queue(
        &mut self,
        id: StepId,
        worker: &str,
        leased: bool,
        msg_id: Option<i64>,
    ) {
        let now_ms = self.now_ms;
        let step = self.step_mut(id);
        step.start(worker, now_ms);
        step.ready = false;
        step.enqueued_ms = Some(now_ms);
        step.leased = leased;
        step.msg_id = msg_id;
    }

    /// The steps that started past the queue when these were first reported, and run since.
    pub(super) fn started_by(
        &self,
        reported: &[&ReceivedStep],
        worker: &str,
        enqueuing: bool,
    ) -> Vec<StepId> {
        let mut ids = self.ids();
        ids.retain(|id| {
            let step = self.step(*id);
            let parents = self.parents(*id);
            step.state == StepState::InProgress
                && step.worker.as_deref() == Some(worker)
                && reported.iter().any(|received| {
                    let past_the_queue = enqueuing && step.started_ms == step.enqueued_ms;
                    parents.contains(&received.id)
                        && (step.msg_id == Some(received.msg_id) || past_the_queue)
                })
        });
        ids
    }
}
