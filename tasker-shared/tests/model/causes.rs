//! What every step that has not ended waits for, concluded from the model.

use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::why::{Cause, why};

use crate::expected::{Expected, index, satisfies_dependents, step_name};
use crate::support::World;
use crate::support::processes::{orchestrator, register, worker};

/// Workers that the calls of a case name, and one more with a place free.
const WORKERS: [&str; 3] = ["worker-0", "worker-1", "another"];

/// Lets an orchestrator and the workers of a case be seen.
pub(crate) async fn be_seen(world: &mut World) {
    world.run("delete from tasker.processes").await;
    register(world, &orchestrator("o", &[])).await;
    for name in WORKERS {
        register(world, &worker(name, &["test"], &["h"])).await;
    }
}

impl Expected {
    /// The cause of a step; none where it waits for nothing.
    fn cause(&self, id: StepId) -> Option<Cause> {
        let step = self.step(id);
        let task = self.tasks[&id.task_uuid].state;
        let runs = step.state == StepState::InProgress;
        match task {
            TaskState::Complete | TaskState::ResolvedManually => return None,
            TaskState::Cancelled if !runs => return None,
            _ => {}
        }
        Some(match step.state {
            StepState::Pending if !step.ready => Cause::WaitsForSteps,
            StepState::WaitingForRetry if step.due.is_some_and(|due| due > self.now_ms) => {
                Cause::WaitsForRetry
            }
            StepState::Pending | StepState::WaitingForRetry => Cause::WaitsToBeClaimed,
            StepState::Enqueued => Cause::WaitsToBeReceived,
            StepState::InProgress if !step.leased => Cause::LeaseOver,
            StepState::InProgress if task == TaskState::Cancelled => Cause::BeingCancelled,
            StepState::InProgress => Cause::Running,
            StepState::Error if step.attempt < step.max_attempts => Cause::Failed,
            StepState::Error => Cause::AttemptsExhausted,
            _ => return None,
        })
    }

    /// The steps that may be the root of a step's wait.
    fn roots(&self, id: StepId) -> Vec<StepId> {
        let mut roots = Vec::new();
        let mut waiting = vec![id];
        while let Some(next) = waiting.pop() {
            if self.cause(next) != Some(Cause::WaitsForSteps) {
                roots.push(next);
                continue;
            }
            waiting.extend(
                self.parents(next)
                    .into_iter()
                    .filter(|parent| !satisfies_dependents(self.step(*parent).state)),
            );
        }
        let furthest = roots
            .iter()
            .map(|root| distance(self.step(*root).state))
            .max();
        roots.retain(|root| Some(distance(self.step(*root).state)) == furthest);
        roots
    }

    /// The reasons that a task has: the step, its cause, and what may be its root.
    fn reasons(&self, task: TaskUuid) -> Vec<(String, Cause, Vec<String>)> {
        let mut ids = self.ids();
        ids.retain(|id| id.task_uuid == task);
        let name = |id: StepId| step_name(index(id));
        let reasons = ids.into_iter().filter_map(|id| {
            let roots = self.roots(id).into_iter().map(name).collect();
            Some((name(id), self.cause(id)?, roots))
        });
        reasons.collect()
    }
}

/// How far from its end a step is that stands here.
fn distance(state: StepState) -> u8 {
    match state {
        StepState::Error => 5,
        StepState::Pending => 4,
        StepState::WaitingForRetry => 3,
        StepState::Enqueued => 2,
        _ => 1,
    }
}

/// Says that `why` gives every step that has not ended its cause and root, and no other step one.
pub(crate) async fn assert_causes(world: &mut World, expected: &Expected) {
    for task in expected.tasks.keys() {
        let mut found = why(&mut world.connection, *task, None)
            .await
            .unwrap()
            .reasons;
        let mut reasons = expected.reasons(*task);
        found.sort_by_key(|reason| reason.step_name.clone());
        reasons.sort_by_key(|(step, ..)| step.clone());
        let causes = found
            .iter()
            .map(|found| (found.step_name.clone().unwrap(), found.cause));
        let wanted = reasons
            .iter()
            .map(|(step, cause, _)| (step.clone(), *cause));
        assert_eq!(causes.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        for (found, (_, _, roots)) in found.iter().zip(&reasons) {
            assert!(
                roots.contains(found.root.as_ref().unwrap()),
                "{found:#?} {roots:?}"
            );
        }
    }
}
