//! The worker's events and how they become commands. Events say what happened and never act.

use std::time::Duration;

use tasker_shared::channel::{Receiver, Sender};
use tasker_shared::ids::TaskUuid;
use tasker_shared::supervisor::Supervised;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::command_processor::{WakeReason, WorkerCommand};

/// How many events are looked at as one.
const BURST: usize = 1000;

/// How many polls pass between two looks for new namespaces, where nothing announces them.
const POLLS_PER_LOOK_FOR_NAMESPACES: u32 = 10;

/// Something happened that concerns the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerEvent {
    /// The listener has a new connection: anything may have been missed.
    ListenerConnected,
    /// A queue got messages.
    StepsEnqueued,
    /// A namespace was created.
    NamespaceCreated,
    /// Tasks were cancelled.
    TasksCancelled(Vec<TaskUuid>),
    /// It is time to look for what was not announced.
    PollDue,
    /// It is time to look which namespaces there are.
    NamespacesDue,
}

/// Turns events into commands.
pub(crate) struct WorkerEventSystem {
    pub(crate) events: Receiver<WorkerEvent>,
    pub(crate) commands: Sender<WorkerCommand>,
}

impl Supervised for WorkerEventSystem {
    const NAME: &'static str = "worker_event_system";

    async fn run(&mut self) {
        let mut burst = Vec::new();
        while self.events.recv_many(&mut burst, BURST).await > 0 {
            for command in commands_for(burst.drain(..)) {
                if self.commands.send(command).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The commands that a burst of events asks for, each once.
fn commands_for(events: impl Iterator<Item = WorkerEvent>) -> Vec<WorkerCommand> {
    let mut refresh = false;
    let mut receive = None;
    let mut cancelled = Vec::new();
    for event in events {
        match event {
            WorkerEvent::ListenerConnected => {
                refresh = true;
                receive.get_or_insert(WakeReason::Connected);
            }
            WorkerEvent::StepsEnqueued => {
                receive.get_or_insert(WakeReason::Notification);
            }
            WorkerEvent::PollDue => {
                receive.get_or_insert(WakeReason::Poll);
            }
            WorkerEvent::NamespaceCreated | WorkerEvent::NamespacesDue => refresh = true,
            WorkerEvent::TasksCancelled(tasks) => cancelled.extend(tasks),
        }
    }
    let mut commands = Vec::new();
    if refresh {
        commands.push(WorkerCommand::RefreshNamespaces);
    }
    if let Some(reason) = receive {
        commands.push(WorkerCommand::ReceiveSteps(reason));
    }
    if !cancelled.is_empty() {
        commands.push(WorkerCommand::CheckLeases(cancelled));
    }
    commands
}

/// Says regularly that it is time to look.
pub(crate) struct Poller {
    pub(crate) interval: Duration,
    /// Whether nothing else would notice new namespaces.
    pub(crate) looks_for_namespaces: bool,
    pub(crate) polls: u32,
    pub(crate) events: Sender<WorkerEvent>,
    pub(crate) shutdown: CancellationToken,
}

impl Supervised for Poller {
    const NAME: &'static str = "worker_poller";

    async fn run(&mut self) {
        loop {
            // Up to half as long again, so that the polls of many workers spread out.
            let pause = self.interval.mul_f64(1.0 + fastrand::f64() / 2.0);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.shutdown.cancelled() => return,
            }
            self.polls = self.polls.wrapping_add(1);
            let is_namespaces_turn = self.polls.is_multiple_of(POLLS_PER_LOOK_FOR_NAMESPACES);
            if self.looks_for_namespaces && is_namespaces_turn {
                // Refused only when the worker stops.
                let _ = self.events.send(WorkerEvent::NamespacesDue).await;
            }
            if self.events.send(WorkerEvent::PollDue).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::channel::{ChannelSpec, bounded};
    use uuid::Uuid;

    use super::*;

    const SPEC: ChannelSpec = ChannelSpec {
        name: "test",
        component: "test",
        capacity: 100,
    };

    #[test]
    fn a_burst_asks_for_each_thing_once_and_for_namespaces_first() {
        let task = TaskUuid(Uuid::nil());
        let burst = [
            WorkerEvent::StepsEnqueued,
            WorkerEvent::TasksCancelled(vec![task]),
            WorkerEvent::PollDue,
            WorkerEvent::ListenerConnected,
            WorkerEvent::TasksCancelled(vec![task]),
        ];

        assert_eq!(
            commands_for(burst.into_iter()),
            [
                WorkerCommand::RefreshNamespaces,
                WorkerCommand::ReceiveSteps(WakeReason::Notification),
                WorkerCommand::CheckLeases(vec![task, task]),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_poller_alone_notices_new_namespaces_where_nothing_listens() {
        let (events, mut due) = bounded(SPEC);
        let shutdown = CancellationToken::new();
        let mut poller = Poller {
            interval: Duration::from_secs(1),
            looks_for_namespaces: true,
            polls: 0,
            events,
            shutdown: shutdown.clone(),
        };
        let polling = tokio::spawn(async move { poller.run().await });

        let mut polls = 0;
        while due.recv().await == Some(WorkerEvent::PollDue) {
            polls += 1;
        }

        assert_eq!(polls, POLLS_PER_LOOK_FOR_NAMESPACES - 1);
        shutdown.cancel();
        polling.await.unwrap();
    }
}
