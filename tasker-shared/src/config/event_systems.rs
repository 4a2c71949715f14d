//! How events are listened for and become commands.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Listening connections, readiness events, restarts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct EventSystemsConfig {
    /// Connections that listen for notifications.
    #[garde(dive)]
    pub listener: ListenerConfig,
    /// Readiness events.
    #[garde(dive)]
    pub task_readiness: TaskReadinessEventSystemConfig,
    /// Background loops that ended.
    #[garde(dive)]
    pub supervisor: SupervisorConfig,
}

/// Connections that listen for notifications.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Time between two checks that a quiet connection is alive.
    #[garde(range(min = 10, max = 3_600_000))]
    pub heartbeat_interval_ms: u64,
    /// First pause before a lost connection is opened again.
    #[garde(range(min = 1, max = 3_600_000))]
    pub reconnect_min_ms: u64,
    /// Longest such pause.
    #[garde(range(min = 1, max = 3_600_000))]
    pub reconnect_max_ms: u64,
}

impl ListenerConfig {
    /// Time between two checks that a quiet connection is alive.
    pub fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_interval_ms)
    }

    /// First pause before a lost connection is opened again.
    pub fn reconnect_min(&self) -> Duration {
        Duration::from_millis(self.reconnect_min_ms)
    }

    /// Longest such pause.
    pub fn reconnect_max(&self) -> Duration {
        Duration::from_millis(self.reconnect_max_ms)
    }
}

/// The system that turns readiness events into commands.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventSystemConfig {
    /// What is particular to it.
    #[garde(dive)]
    pub metadata: TaskReadinessMetadataConfig,
}

/// What is particular to the system of readiness events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessMetadataConfig {
    /// What happens when its channel is full.
    #[garde(dive)]
    pub event_channel: TaskReadinessEventChannelRetryConfig,
}

/// What happens when the channel of readiness events is full.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventChannelRetryConfig {
    /// How often a send is tried again.
    #[garde(range(max = 100))]
    pub max_retries: u32,
    /// Pause before it is tried again, in milliseconds.
    #[garde(range(min = 1, max = 60_000))]
    pub backoff: u64,
}

impl TaskReadinessEventChannelRetryConfig {
    /// Pause before a send is tried again.
    pub fn backoff(&self) -> Duration {
        Duration::from_millis(self.backoff)
    }
}

/// Background loops that ended unexpectedly.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SupervisorConfig {
    /// First pause before such a loop is started again.
    #[garde(range(min = 1, max = 3_600_000))]
    pub restart_min_ms: u64,
    /// Longest such pause.
    #[garde(range(min = 1, max = 3_600_000))]
    pub restart_max_ms: u64,
}

impl SupervisorConfig {
    /// First pause before such a loop is started again.
    pub fn restart_min(&self) -> Duration {
        Duration::from_millis(self.restart_min_ms)
    }

    /// Longest such pause.
    pub fn restart_max(&self) -> Duration {
        Duration::from_millis(self.restart_max_ms)
    }
}
