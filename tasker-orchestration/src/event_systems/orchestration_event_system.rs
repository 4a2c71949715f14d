//! Turns the events that concern the orchestrator as a whole into commands.

use tasker_shared::channel::{Receiver, Sender};
use tasker_shared::supervisor::Supervised;
use tokio_util::sync::CancellationToken;

use crate::commands::{LookReason, OrchestrationCommand};
use crate::task_readiness::events::OrchestrationEvent;

/// The system of the orchestrator's own events.
pub(crate) struct OrchestrationEventSystem {
    pub(crate) events: Receiver<OrchestrationEvent>,
    pub(crate) commands: Sender<OrchestrationCommand>,
    pub(crate) stop: CancellationToken,
}

impl Supervised for OrchestrationEventSystem {
    const NAME: &'static str = "orchestration_event_system";

    /// Turns events into commands; waits while the command processor is saturated.
    async fn run(&mut self) {
        while let Some(Some(event)) = self.stop.run_until_cancelled(self.events.recv()).await {
            for command in commands_for(event) {
                if self.commands.send(command).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What an event asks for. Whatever was announced while nobody listened may have been either.
fn commands_for(event: OrchestrationEvent) -> Vec<OrchestrationCommand> {
    match event {
        OrchestrationEvent::TimerSet => vec![OrchestrationCommand::FireTimers],
        OrchestrationEvent::ListenerConnected => vec![
            OrchestrationCommand::LookForReadyTasks {
                reason: LookReason::ListenerConnected,
            },
            OrchestrationCommand::FireTimers,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_of_the_listener_has_everything_looked_at() {
        assert_eq!(
            commands_for(OrchestrationEvent::ListenerConnected),
            [
                OrchestrationCommand::LookForReadyTasks {
                    reason: LookReason::ListenerConnected
                },
                OrchestrationCommand::FireTimers,
            ]
        );
    }

    #[test]
    fn a_timer_that_was_set_has_the_timers_looked_at() {
        assert_eq!(
            commands_for(OrchestrationEvent::TimerSet),
            [OrchestrationCommand::FireTimers]
        );
    }
}
