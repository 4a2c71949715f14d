//! Turns readiness events into commands.

use std::sync::Arc;

use tasker_shared::channel::{Receiver, Sender};
use tasker_shared::ids::TaskUuid;
use tasker_shared::statistics::{Lasted, SampledStatisticsCollector, TimedEvent};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;
use tracing::{info, trace};

use crate::commands::OrchestrationCommand;
use crate::task_readiness::events::{Received, TaskReadinessEvent};

/// The system of readiness events.
pub(crate) struct TaskReadinessEventSystem {
    pub(crate) statistics: Arc<SampledStatisticsCollector>,
    pub(crate) events: Receiver<Received<TaskReadinessEvent>>,
    pub(crate) commands: Sender<OrchestrationCommand>,
    pub(crate) stop: CancellationToken,
}

impl Supervised for TaskReadinessEventSystem {
    const NAME: &'static str = "task_readiness_event_system";

    /// Turns events into commands; waits while the command processor is saturated.
    async fn run(&mut self) {
        while let Some(Some(event)) = self.stop.run_until_cancelled(self.events.recv()).await {
            let tasks = tasks_of(&event.what);
            let Some(command) = command_for(event.what) else {
                continue;
            };
            if self.commands.send(command).await.is_err() {
                return;
            }
            metrics().readiness_command_sent();
            let latency = event.at.elapsed();
            metrics().readiness_latency(latency);
            for (task_uuid, priority) in tasks {
                self.statistics.record_if_sampled(Lasted {
                    event: TimedEvent::NotificationToCommand,
                    task_uuid,
                    step: None,
                    priority,
                    latency: Some(latency),
                    failed: false,
                });
            }
        }
    }
}

/// The tasks that an event says are ready, each with its priority.
fn tasks_of(event: &TaskReadinessEvent) -> Vec<(TaskUuid, i32)> {
    let TaskReadinessEvent::TaskReady(event) = event else {
        return Vec::new();
    };
    let one = event.task_uuid.zip(event.priority);
    let several = event.tasks.iter().map(|it| (it.task_uuid, it.priority));
    one.into_iter().chain(several).collect()
}

/// What an event asks for; that a task entered a state asks for nothing, because steps that are ready
/// are announced as such, nor does a new namespace, because its tasks announce themselves.
fn command_for(event: TaskReadinessEvent) -> Option<OrchestrationCommand> {
    match event {
        TaskReadinessEvent::TaskReady(event) => Some(event.into()),
        TaskReadinessEvent::TaskStateChange(event) => {
            trace!(?event, "tasks entered a state");
            None
        }
        TaskReadinessEvent::NamespaceCreated(event) => {
            info!(namespace = event.namespace, "a namespace was created");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::readiness::ReadyTask;
    use tasker_shared::state::{StepState, TaskState};
    use uuid::Uuid;

    use super::*;
    use crate::commands::TriggeredBy;
    use crate::task_readiness::events::{
        NamespaceCreatedEvent, ReadyTaskOfSeveral, TaskReadyEvent, TaskStateChangeEvent,
    };

    const TASK: TaskUuid = TaskUuid(Uuid::from_u128(9 << 16));

    fn announced(triggered_by: TriggeredBy) -> OrchestrationCommand {
        let event = TaskReadyEvent {
            task_count: Some(1),
            task_uuid: Some(TASK),
            triggered_by,
            namespace: Some("fulfillment".to_owned()),
            priority: Some(3),
            ready_steps: Some(2),
            step_uuid: None,
            step_state: None,
            task_state: None,
            tasks: Vec::new(),
        };
        command_for(TaskReadinessEvent::TaskReady(event)).expect("readiness asks for processing")
    }

    #[test]
    fn a_polled_task_and_an_announced_one_become_the_same_command_but_for_the_trigger() {
        let polled = OrchestrationCommand::for_polled(ReadyTask {
            task_uuid: TASK,
            namespace: "fulfillment".to_owned(),
            priority: 3,
            ready_steps: 2,
            ready_for_ms: 6000.0,
        });
        assert_eq!(polled, announced(TriggeredBy::FallbackPolling));
    }

    #[test]
    fn a_command_keeps_what_its_event_says() {
        let step_uuid = Uuid::from_u128((9 << 16) + 1);
        let event = TaskReadyEvent {
            task_count: Some(1),
            task_uuid: Some(TASK),
            triggered_by: TriggeredBy::StepTransition,
            namespace: Some("fulfillment".to_owned()),
            priority: Some(3),
            ready_steps: Some(2),
            step_uuid: Some(step_uuid),
            step_state: Some(StepState::Complete),
            task_state: Some(TaskState::InProgress),
            tasks: Vec::new(),
        };
        assert_eq!(
            command_for(TaskReadinessEvent::TaskReady(event)),
            Some(OrchestrationCommand::ProcessTaskReadiness {
                task_uuid: Some(TASK),
                namespace: Some("fulfillment".to_owned()),
                priority: Some(3),
                ready_steps: Some(2),
                triggered_by: TriggeredBy::StepTransition,
                step_uuid: Some(step_uuid),
                step_state: Some(StepState::Complete),
                task_state: Some(TaskState::InProgress),
            })
        );
    }

    #[test]
    fn a_notification_about_several_tasks_is_timed_for_each_of_them() {
        let several: Vec<_> = (1..=3)
            .map(|n| (TaskUuid(Uuid::from_u128(n << 16)), 10))
            .collect();
        let event = TaskReadyEvent {
            task_count: Some(3),
            task_uuid: None,
            triggered_by: TriggeredBy::TaskStart,
            namespace: Some("fulfillment".to_owned()),
            priority: Some(10),
            ready_steps: Some(3),
            step_uuid: None,
            step_state: None,
            task_state: None,
            tasks: several
                .iter()
                .map(|(task_uuid, priority)| ReadyTaskOfSeveral {
                    task_uuid: *task_uuid,
                    priority: *priority,
                    ready_steps: 1,
                    task_state: TaskState::Pending,
                    step_uuid: None,
                    step_state: None,
                })
                .collect(),
        };
        assert_eq!(tasks_of(&TaskReadinessEvent::TaskReady(event)), several);
    }

    #[test]
    fn a_state_that_tasks_entered_asks_for_nothing() {
        let event = TaskStateChangeEvent {
            task_state: TaskState::InProgress,
            namespace: "fulfillment".to_owned(),
            task_uuids: vec![TASK],
        };
        assert_eq!(
            command_for(TaskReadinessEvent::TaskStateChange(event)),
            None
        );
    }

    #[test]
    fn a_new_namespace_asks_for_nothing() {
        let event = NamespaceCreatedEvent {
            namespace: "fulfillment".to_owned(),
        };
        assert_eq!(
            command_for(TaskReadinessEvent::NamespaceCreated(event)),
            None
        );
    }
}
