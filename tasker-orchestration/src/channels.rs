//! The channels between the loops of an orchestrator, each made as its keys say.

use pgmq_notify::ListenEvent;
use tasker_shared::channel::{self, ChannelSpec, Receiver, SendRetry, Sender};
use tasker_shared::config::TaskerConfig;

use crate::commands::OrchestrationCommand;
use crate::task_readiness::events::{OrchestrationEvent, Received, TaskReadinessEvent};

/// Both ends of a channel.
pub(crate) type Ends<T> = (Sender<T>, Receiver<T>);

/// Orders to the command processor.
pub(crate) fn commands(config: &TaskerConfig) -> Ends<OrchestrationCommand> {
    let processor = &config.mpsc_channels.orchestration.command_processor;
    channel::bounded(spec("commands", processor.command_buffer_size))
}

/// What PostgreSQL announced, on its way to the classifier.
pub(crate) fn notifications(config: &TaskerConfig) -> Ends<Received<ListenEvent>> {
    let listeners = &config.mpsc_channels.orchestration.event_listeners;
    channel::bounded_by_bytes(
        spec("notifications", listeners.pgmq_event_buffer_size),
        listeners.pgmq_event_buffer_bytes,
    )
}

/// Events of the orchestrator as a whole, on their way to becoming commands.
pub(crate) fn orchestration_events(config: &TaskerConfig) -> Ends<OrchestrationEvent> {
    let systems = &config.mpsc_channels.orchestration.event_systems;
    channel::bounded(spec(
        "orchestration_events",
        systems.event_channel_buffer_size,
    ))
}

/// Events about readiness, on their way to becoming commands.
pub(crate) fn readiness_events(config: &TaskerConfig) -> Ends<Received<TaskReadinessEvent>> {
    let events = &config.mpsc_channels.task_readiness.event_channel;
    channel::bounded(spec("task_readiness_events", events.buffer_size))
}

/// How long a send of a readiness event waits, and how often it is tried again.
pub(crate) fn readiness_retry(config: &TaskerConfig) -> SendRetry {
    let retry = &config.event_systems.task_readiness.metadata.event_channel;
    let channel = &config.mpsc_channels.task_readiness.event_channel;
    SendRetry {
        max_retries: retry.max_retries,
        backoff: retry.backoff,
        attempt_timeout: channel.send_timeout,
    }
}

const fn spec(name: &'static str, capacity: usize) -> ChannelSpec {
    ChannelSpec {
        name,
        component: "orchestration",
        capacity,
    }
}
