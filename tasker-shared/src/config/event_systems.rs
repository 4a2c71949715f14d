//! How events are listened for and become commands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{self, Millis};

/// Listening connections, readiness events, restarts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventSystemsConfig {
    /// Connections that listen for notifications.
    pub listener: ListenerConfig,
    /// Readiness events.
    pub task_readiness: TaskReadinessEventSystemConfig,
    /// Background loops that ended.
    pub supervisor: SupervisorConfig,
}

/// Connections that listen for notifications.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Time between two checks that a quiet connection is alive.
    #[serde(rename = "heartbeat_interval_ms", with = "Millis::<10, 3_600_000>")]
    pub heartbeat_interval: Duration,
    /// First pause before a lost connection is opened again.
    #[serde(rename = "reconnect_min_ms", with = "Millis::<1, 3_600_000>")]
    pub reconnect_min: Duration,
    /// Longest such pause.
    #[serde(rename = "reconnect_max_ms", with = "Millis::<1, 3_600_000>")]
    pub reconnect_max: Duration,
}

/// The system that turns readiness events into commands.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventSystemConfig {
    /// What is particular to it.
    pub metadata: TaskReadinessMetadataConfig,
}

/// What is particular to the system of readiness events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessMetadataConfig {
    /// What happens when its channel is full.
    pub event_channel: TaskReadinessEventChannelRetryConfig,
}

/// What happens when the channel of readiness events is full.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessEventChannelRetryConfig {
    /// How often a send is tried again.
    #[serde(deserialize_with = "check::within::<_, _, 0, 100>")]
    pub max_retries: u32,
    /// Pause before it is tried again.
    #[serde(with = "Millis::<1, 60_000>")]
    pub backoff: Duration,
}

/// Background loops that ended unexpectedly.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorConfig {
    /// First pause before such a loop is started again.
    #[serde(rename = "restart_min_ms", with = "Millis::<1, 3_600_000>")]
    pub restart_min: Duration,
    /// Longest such pause.
    #[serde(rename = "restart_max_ms", with = "Millis::<1, 3_600_000>")]
    pub restart_max: Duration,
}
