//! Tells subscribers in the process what this worker does.
//!
//! An event is published after the commit that recorded it, and made only where somebody
//! subscribes. A subscriber hears of the attempts that start after it subscribed.

use std::sync::Arc;

use chrono::Utc;
use tasker_shared::config::MpscChannelsConfig;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::events::{
    EventPublisher, EventSubscription, InProcessEvents, LifecycleEvent, Moved, task_ends_of,
};
use tasker_shared::ids::StepId;
use tasker_shared::state::StepState;
use tasker_shared::steps::{ReceivedStep, StepOutcome};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use crate::COMPONENT;

/// The worker's end of the events; clones publish to the same subscribers.
#[derive(Clone)]
pub(crate) struct WorkerEvents {
    worker: Arc<str>,
    publisher: EventPublisher,
}

/// What the events of an attempt say of it.
pub(crate) struct Described {
    id: StepId,
    namespace: String,
    template: String,
    name: String,
    attempt: i32,
    max_attempts: i32,
    /// Told when its task was cancelled.
    cancellation: CancellationToken,
}

impl WorkerEvents {
    /// Starts what hands events on, within a tokio runtime.
    pub(crate) fn start(worker: &str, channels: &MpscChannelsConfig) -> Self {
        let subscribers = InProcessEvents::of_worker(COMPONENT, &channels.worker.in_process_events);
        let config = &channels.shared.event_publisher;
        Self {
            worker: worker.into(),
            publisher: EventPublisher::start(COMPONENT, config, subscribers),
        }
    }

    pub(crate) fn subscribe(&self) -> EventSubscription {
        self.publisher.subscribe()
    }

    /// What will be told of the attempt, where anybody wants to know.
    pub(crate) fn describe(
        &self,
        step: &ReceivedStep,
        cancellation: &CancellationToken,
    ) -> Option<Box<Described>> {
        if !self.publisher.has_subscribers() {
            return None;
        }
        Some(Box::new(Described {
            id: step.id,
            namespace: step.namespace.clone(),
            template: step.template.clone(),
            name: step.step_name.clone(),
            attempt: step.attempt,
            max_attempts: step.max_attempts,
            cancellation: cancellation.clone(),
        }))
    }

    /// The attempt starts, in a step that was enqueued or, where it follows another, pending.
    pub(crate) async fn started(&self, step: &Described, from: StepState) {
        self.publish(step, from, StepState::InProgress, None).await;
    }

    /// The attempt's outcome was recorded.
    pub(crate) async fn recorded(&self, step: &Described, outcome: &StepOutcome) {
        let is_cancelled = step.cancellation.is_cancelled();
        let (to, error) = match outcome {
            StepOutcome::Complete(_) => (StepState::Complete, None),
            StepOutcome::Retry { error, .. } | StepOutcome::Fail(error) if is_cancelled => {
                (StepState::Cancelled, Some(error))
            }
            StepOutcome::Retry { error, .. } if step.attempt < step.max_attempts => {
                (StepState::WaitingForRetry, Some(error))
            }
            StepOutcome::Retry { error, .. } | StepOutcome::Fail(error) => {
                (StepState::Error, Some(error))
            }
        };
        let error = error.map(|error| error.kind.clone());
        self.publish(step, StepState::InProgress, to, error).await;
    }

    /// The tasks, where anybody wants to know of them.
    pub(crate) fn of_interest(&self, tasks: &[Uuid]) -> Vec<Uuid> {
        if self.publisher.has_subscribers() {
            tasks.to_vec()
        } else {
            Vec::new()
        }
    }

    /// Tasks ended with steps of this worker; how, the database knows.
    pub(crate) async fn tasks_ended(&self, tasks: &[Uuid], connection: &mut DedicatedConnection) {
        if tasks.is_empty() {
            return;
        }
        let ends = connection
            .call("task_ends_of", async |connection| {
                task_ends_of(connection, tasks, &self.worker).await
            })
            .await;
        match ends {
            Ok(ends) => {
                for end in ends {
                    self.publisher.publish(end).await;
                }
            }
            Err(error) => {
                debug!(%error, "could not look how tasks ended");
                self.publisher.missed(tasks.len() as u64);
            }
        }
    }

    async fn publish(
        &self,
        step: &Described,
        from: StepState,
        to: StepState,
        error: Option<String>,
    ) {
        let event = LifecycleEvent {
            at: Utc::now(),
            task_uuid: step.id.task_uuid,
            namespace: step.namespace.clone(),
            template: step.template.clone(),
            moved: Moved::Step {
                step_no: step.id.step_no,
                name: step.name.clone(),
                attempt: step.attempt,
                from,
                to,
            },
            actor: Some(self.worker.to_string()),
            reason: None,
            error,
        };
        self.publisher.publish(event).await;
    }
}
