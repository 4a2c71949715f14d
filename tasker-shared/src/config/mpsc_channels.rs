//! Capacities of channels. Every channel of the product has its capacity here.

use std::time::Duration;

use garde::Validate;
use serde::Deserialize;

use super::check;

/// Capacities of the channels between the tasks of a process.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
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
    /// Channels that every role has.
    #[garde(dive)]
    pub shared: SharedChannelsConfig,
    /// What happens when a channel fills.
    #[garde(dive)]
    pub overflow_policy: OverflowPolicyConfig,
}

/// Channels of the orchestrator.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationCommandProcessorConfig {
    /// Commands that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub command_buffer_size: usize,
}

/// The orchestrator's event systems.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationEventSystemsConfig {
    /// Classified events that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub event_channel_buffer_size: usize,
}

/// The orchestrator's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationEventListenersConfig {
    /// Notifications that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub pgmq_event_buffer_size: usize,
}

/// Channels of task readiness.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessChannelsConfig {
    /// The channel of readiness events.
    #[garde(dive)]
    pub event_channel: TaskReadinessEventChannelConfig,
}

/// The channel of readiness events.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
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
    /// Its listeners.
    #[garde(dive)]
    pub event_listeners: WorkerEventListenersConfig,
}

/// The worker's command processor.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerCommandProcessorConfig {
    /// Commands that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub command_buffer_size: usize,
}

/// The worker's event systems.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventSystemsConfig {
    /// Events that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub event_channel_buffer_size: usize,
}

/// What follows a handler in the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventSubscribersConfig {
    /// Finished handlers that wait to be noticed.
    #[garde(range(min = 1, max = 1_000_000))]
    pub completion_buffer_size: usize,
    /// Outcomes that wait to be reported.
    #[garde(range(min = 1, max = 1_000_000))]
    pub result_buffer_size: usize,
}

/// The worker's listeners.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerEventListenersConfig {
    /// Notifications that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub pgmq_event_buffer_size: usize,
}

/// Channels that every role has.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedChannelsConfig {
    /// Announcements after a commit.
    #[garde(dive)]
    pub announcer: SharedAnnouncerConfig,
}

/// Announcements after a commit.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SharedAnnouncerConfig {
    /// Announcements that wait.
    #[garde(range(min = 1, max = 1_000_000))]
    pub announcement_buffer_size: usize,
}

/// What happens when a channel fills.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OverflowPolicyConfig {
    /// Usage, from 0 to 1, at which one warning is logged.
    #[garde(custom(check::fraction))]
    pub log_warning_threshold: f64,
}
