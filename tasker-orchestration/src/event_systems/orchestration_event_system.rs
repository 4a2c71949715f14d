//! Turns the events that concern the orchestrator as a whole into commands.

use tasker_shared::channel::Sender;
use tokio_util::sync::CancellationToken;

use crate::commands::{LookReason, OrchestrationCommand};
use crate::inbox::Inbox;
use crate::task_readiness::events::OrchestrationEvent;

/// The system of the orchestrator's own events.
#[derive(Clone)]
pub(crate) struct OrchestrationEventSystem {
    pub(crate) events: Inbox<OrchestrationEvent>,
    pub(crate) commands: Sender<OrchestrationCommand>,
}

impl OrchestrationEventSystem {
    /// Turns events into commands until `stop`; waits while the command processor is saturated.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut events = self.events.open().await;
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = events.recv() => event,
            };
            let Some(event) = event else { return };
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
