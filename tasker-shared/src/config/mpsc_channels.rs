//! Capacities of channels, and what happens when one is full. Every channel of the product has its
//! capacity here.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::check;

/// Smallest bound of bytes. Below it nearly every message would pass alone.
const MIN_BYTES: usize = 1024;
/// Largest bound of bytes: 4 GiB.
const MAX_BYTES: usize = u32::MAX as usize;

/// Capacities of the channels between the tasks of a process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct MpscChannelsConfig {
    /// Channels of the orchestrator.
    #[garde(dive)]
    pub orchestration: OrchestrationChannelsConfig,
    /// Channels of task readiness.
    #[garde(dive)]
    pub task_readiness: TaskReadinessChannelsConfig,
    /// Channels of the worker.
    #[garde(dive)]
    pub worker: WorkerChannelsConfig,
    /// Channels of the API.
    #[garde(dive)]
    pub web: WebChannelsConfig,
    /// Channels that every role has.
    #[garde(dive)]
    pub shared: SharedChannelsConfig,
    /// What happens when a channel fills.
    #[garde(dive)]
    pub overflow_policy: OverflowPolicyConfig,
}

/// Channels of the orchestrator.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationChannelsConfig {
    /// Its command processor.
    #[garde(dive)]
    pub command_processor: OrchestrationCommandProcessorConfig,
    /// Its event systems.
    #[garde(dive)]
    pub event_systems: OrchestrationEventSystemsConfig,
    /// Its listeners.
    #[garde(dive)]
    pub event_listeners: OrchestrationEventListenersConfig,
}

/// The orchestrator's command processor.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationCommandProcessorConfig {
    /// Commands that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub command_buffer_size: usize,
}

/// The orchestrator's event systems.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationEventSystemsConfig {
    /// Classified events that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub event_channel_buffer_size: usize,
}

/// The orchestrator's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationEventListenersConfig {
    /// Notifications that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub pgmq_event_buffer_size: usize,
    /// Bytes of their payloads.
    #[garde(range(min = MIN_BYTES, max = MAX_BYTES))]
    pub pgmq_event_buffer_bytes: usize,
}

/// Channels of task readiness.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessChannelsConfig {
    /// The channel of readiness events.
    #[garde(dive)]
    pub event_channel: TaskReadinessEventChannelConfig,
}

/// The channel of readiness events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventChannelConfig {
    /// Events that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub buffer_size: usize,
    /// Longest wait for a free place.
    #[garde(range(min = 1, max = 3_600_000))]
    pub send_timeout_ms: u64,
}

impl TaskReadinessEventChannelConfig {
    /// Longest wait for a free place.
    pub fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }
}

/// Channels of the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerChannelsConfig {
    /// Its command processor.
    #[garde(dive)]
    pub command_processor: WorkerCommandProcessorConfig,
    /// Its event systems.
    #[garde(dive)]
    pub event_systems: WorkerEventSystemsConfig,
    /// What follows a handler.
    #[garde(dive)]
    pub event_subscribers: WorkerEventSubscribersConfig,
    /// Events for code in its process.
    #[garde(dive)]
    pub in_process_events: WorkerInProcessEventsConfig,
    /// Its listeners.
    #[garde(dive)]
    pub event_listeners: WorkerEventListenersConfig,
}

/// The worker's command processor.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerCommandProcessorConfig {
    /// Commands that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub command_buffer_size: usize,
}

/// The worker's event systems.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventSystemsConfig {
    /// Events that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub event_channel_buffer_size: usize,
}

/// What follows a handler in the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventSubscribersConfig {
    /// Finished handlers that wait to be noticed.
    #[garde(range(min = 1, max = 1_000_000))]
    pub completion_buffer_size: usize,
    /// Outcomes that wait to be reported.
    #[garde(range(min = 1, max = 1_000_000))]
    pub result_buffer_size: usize,
    /// Bytes of those outcomes, and of those that one reporter keeps while it cannot record them.
    #[garde(range(min = MIN_BYTES, max = MAX_BYTES))]
    pub result_buffer_bytes: usize,
}

/// Events for code in the worker's process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerInProcessEventsConfig {
    /// Events by which a subscriber may be behind.
    #[garde(range(min = 1, max = 1_000_000))]
    pub broadcast_buffer_size: usize,
}

/// The worker's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventListenersConfig {
    /// Notifications that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub pgmq_event_buffer_size: usize,
    /// Bytes of their payloads.
    #[garde(range(min = MIN_BYTES, max = MAX_BYTES))]
    pub pgmq_event_buffer_bytes: usize,
}

/// Channels of the API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebChannelsConfig {
    /// Tasks to be submitted.
    #[garde(dive)]
    pub submissions: WebSubmissionsConfig,
}

/// Tasks to be submitted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebSubmissionsConfig {
    /// Tasks that wait for the next transaction.
    #[garde(range(min = 1, max = 1_000_000))]
    pub submission_buffer_size: usize,
    /// Bytes of those tasks.
    #[garde(range(min = MIN_BYTES, max = MAX_BYTES))]
    pub submission_buffer_bytes: usize,
}

/// Channels that every role has.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedChannelsConfig {
    /// Announcements after a commit.
    #[garde(dive)]
    pub announcer: SharedAnnouncerConfig,
    /// Life-cycle events.
    #[garde(dive)]
    pub event_publisher: SharedEventPublisherConfig,
    /// Events for other languages.
    #[garde(dive)]
    pub ffi: SharedFfiConfig,
}

/// Announcements after a commit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedAnnouncerConfig {
    /// Announcements that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub announcement_buffer_size: usize,
}

/// Life-cycle events of tasks and steps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedEventPublisherConfig {
    /// Events that wait to be handed to subscribers.
    #[garde(range(min = 1, max = 1_000_000))]
    pub event_queue_buffer_size: usize,
    /// What becomes of events when that many wait.
    #[garde(skip)]
    pub drop_policy: DropPolicy,
}

/// Events for other languages in the process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedFfiConfig {
    /// Events that wait to be taken over.
    #[garde(range(min = 1, max = 1_000_000))]
    pub ruby_event_buffer_size: usize,
    /// Bytes of those events.
    #[garde(range(min = MIN_BYTES, max = MAX_BYTES))]
    pub ruby_event_buffer_bytes: usize,
}

/// What happens when a channel fills.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OverflowPolicyConfig {
    /// Usage, from 0 to 1, at which one warning is logged.
    #[garde(custom(check::fraction))]
    pub log_warning_threshold: f64,
    /// What a full channel does unless its section says otherwise.
    #[garde(skip)]
    pub drop_policy: DropPolicy,
    /// What is measured.
    #[garde(dive)]
    pub metrics: OverflowMetricsConfig,
}

/// What is measured of channels that fill.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OverflowMetricsConfig {
    /// Whether what is measured appears among the metrics of the process.
    #[garde(skip)]
    pub enabled: bool,
    /// Time between two looks at how full channels got.
    #[garde(range(min = 1, max = 3600))]
    pub saturation_check_interval_seconds: u64,
}

impl OverflowMetricsConfig {
    /// Time between two looks at how full channels got.
    pub fn saturation_check_interval(&self) -> Duration {
        Duration::from_secs(self.saturation_check_interval_seconds)
    }
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

#[cfg(test)]
mod tests;
