//! Capacities of channels, and what happens when one is full. Every channel of the product has its
//! capacity here.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::check::{self, Millis, WholeSeconds, checked, expect};

/// Capacities of the channels between the tasks of a process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MpscChannelsConfig {
    /// Channels of the orchestrator.
    pub orchestration: OrchestrationChannelsConfig,
    /// Channels of task readiness.
    pub task_readiness: TaskReadinessChannelsConfig,
    /// Channels of the worker.
    pub worker: WorkerChannelsConfig,
    /// Channels of the API.
    pub web: WebChannelsConfig,
    /// Channels that every role has.
    pub shared: SharedChannelsConfig,
    /// What happens when a channel fills.
    pub overflow_policy: OverflowPolicyConfig,
}

/// Channels of the orchestrator.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationChannelsConfig {
    /// Its command processor.
    pub command_processor: CommandProcessorConfig,
    /// Its event systems.
    pub event_systems: EventSystemChannelsConfig,
    /// Its listeners.
    pub event_listeners: OrchestrationEventListenersConfig,
}

/// The command processor of the orchestrator or the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandProcessorConfig {
    /// Commands that wait.
    #[serde(deserialize_with = "check::buffer_size")]
    pub command_buffer_size: usize,
}

/// The event systems of the orchestrator or the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventSystemChannelsConfig {
    /// Events that wait to become commands.
    #[serde(deserialize_with = "check::buffer_size")]
    pub event_channel_buffer_size: usize,
}

/// The orchestrator's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationEventListenersConfig {
    /// Notifications that wait.
    #[serde(deserialize_with = "check::buffer_size")]
    pub pgmq_event_buffer_size: usize,
    /// Bytes of their payloads.
    #[serde(deserialize_with = "check::buffer_bytes")]
    pub pgmq_event_buffer_bytes: usize,
}

/// Channels of task readiness.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessChannelsConfig {
    /// The channel of readiness events.
    pub event_channel: TaskReadinessEventChannelConfig,
}

/// The channel of readiness events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventChannelConfig {
    /// Events that wait.
    #[serde(deserialize_with = "check::buffer_size")]
    pub buffer_size: usize,
    /// Longest wait for a free place.
    #[serde(rename = "send_timeout_ms", with = "Millis::<1, 3_600_000>")]
    pub send_timeout: Duration,
}

/// Channels of the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerChannelsConfig {
    /// Its command processor.
    pub command_processor: CommandProcessorConfig,
    /// Its event systems.
    pub event_systems: EventSystemChannelsConfig,
    /// What follows a handler.
    pub event_subscribers: WorkerEventSubscribersConfig,
    /// Events for code in its process.
    pub in_process_events: WorkerInProcessEventsConfig,
    /// Its listeners.
    pub event_listeners: WorkerEventListenersConfig,
}

/// What follows a handler in the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventSubscribersConfig {
    /// Finished handlers that wait to be noticed.
    #[serde(deserialize_with = "check::buffer_size")]
    pub completion_buffer_size: usize,
    /// Outcomes that wait to be reported.
    #[serde(deserialize_with = "check::buffer_size")]
    pub result_buffer_size: usize,
    /// Bytes of those outcomes, and of those that one reporter keeps while it cannot record them.
    #[serde(deserialize_with = "check::buffer_bytes")]
    pub result_buffer_bytes: usize,
}

/// Events for code in the worker's process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerInProcessEventsConfig {
    /// Events by which a subscriber may be behind.
    #[serde(deserialize_with = "check::buffer_size")]
    pub broadcast_buffer_size: usize,
}

/// The worker's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventListenersConfig {
    /// Notifications that wait.
    #[serde(deserialize_with = "check::buffer_size")]
    pub pgmq_event_buffer_size: usize,
    /// Bytes of their payloads.
    #[serde(deserialize_with = "check::buffer_bytes")]
    pub pgmq_event_buffer_bytes: usize,
}

/// Channels of the API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebChannelsConfig {
    /// Tasks to be submitted.
    pub submissions: WebSubmissionsConfig,
}

/// Tasks to be submitted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebSubmissionsConfig {
    /// Tasks that wait for the next transaction.
    #[serde(deserialize_with = "check::buffer_size")]
    pub submission_buffer_size: usize,
    /// Bytes of those tasks.
    #[serde(deserialize_with = "check::buffer_bytes")]
    pub submission_buffer_bytes: usize,
}

/// Channels that every role has.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedChannelsConfig {
    /// Announcements after a commit.
    pub announcer: SharedAnnouncerConfig,
    /// Life-cycle events.
    pub event_publisher: SharedEventPublisherConfig,
    /// Events for other languages.
    pub ffi: SharedFfiConfig,
}

/// Announcements after a commit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedAnnouncerConfig {
    /// Announcements that wait.
    #[serde(deserialize_with = "check::buffer_size")]
    pub announcement_buffer_size: usize,
}

/// Life-cycle events of tasks and steps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedEventPublisherConfig {
    /// Events that wait to be handed to subscribers.
    #[serde(deserialize_with = "check::buffer_size")]
    pub event_queue_buffer_size: usize,
    /// What becomes of events when that many wait.
    pub drop_policy: DropPolicy,
}

/// Events for other languages in the process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedFfiConfig {
    /// Events that wait to be taken over.
    #[serde(deserialize_with = "check::buffer_size")]
    pub ruby_event_buffer_size: usize,
    /// Bytes of those events.
    #[serde(deserialize_with = "check::buffer_bytes")]
    pub ruby_event_buffer_bytes: usize,
}

/// What happens when a channel fills.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OverflowPolicyConfig {
    /// Usage, from 0 to 1, at which one warning is logged.
    #[serde(deserialize_with = "check::fraction")]
    pub log_warning_threshold: f64,
    /// What a full channel does unless its section says otherwise.
    #[serde(deserialize_with = "lossless")]
    pub drop_policy: DropPolicy,
    /// What is measured.
    pub metrics: OverflowMetricsConfig,
}

/// What is measured of channels that fill.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OverflowMetricsConfig {
    /// Whether what is measured appears among the metrics of the process.
    pub enabled: bool,
    /// Time between two looks at how full channels got.
    #[serde(
        rename = "saturation_check_interval_seconds",
        with = "WholeSeconds::<1, 3600>"
    )]
    pub saturation_check_interval: Duration,
}

/// What happens to a message that finds a channel full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropPolicy {
    /// Its sender waits.
    Block,
    /// The oldest message is dropped for it.
    DropOldest,
    /// It is dropped.
    DropNewest,
}

/// The policy of all channels, which every lossless one has to honour.
fn lossless<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DropPolicy, D::Error> {
    checked(deserializer, |policy| {
        expect(
            *policy == DropPolicy::Block,
            "channels of commands, database notifications and outcomes are lossless, so their \
             senders wait (\"block\"); published events may be dropped, as \
             mpsc_channels.shared.event_publisher.drop_policy says",
        )
    })
}

#[cfg(test)]
mod tests;
