//! The orchestrator's part of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    DeploymentConfig,
    check::{self, Seconds},
    instance,
};

/// The orchestrator: finds ready steps and puts them in queues.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationConfig {
    /// Name of the orchestrator; empty: generated.
    #[serde(deserialize_with = "check::instance_id")]
    pub instance_id: String,
    /// Namespaces that are served; empty: all.
    #[serde(deserialize_with = "check::namespaces")]
    pub namespaces: Vec<String>,
    /// How ready tasks are found.
    pub deployment: DeploymentConfig,
    /// Polling for ready tasks.
    pub task_readiness: TaskReadinessConfig,
    /// Claims.
    pub claims: ClaimsConfig,
    /// Retries and leases that are due.
    pub timers: TimersConfig,
}

impl OrchestrationConfig {
    /// The configured name, or one generated for this process.
    pub fn instance_name(&self) -> &str {
        instance::name(&self.instance_id)
    }
}

/// Polling for ready tasks that no notification announced.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessConfig {
    /// Time between two looks.
    #[serde(
        rename = "fallback_polling_interval_seconds",
        with = "Seconds::<10, 3_600_000>"
    )]
    pub fallback_polling_interval: Duration,
    /// How long a task must have been ready to be taken.
    #[serde(rename = "age_threshold_seconds", with = "Seconds::<0, 3_600_000>")]
    pub age_threshold: Duration,
    /// How long a task must have been ready to count as missed, where the process does not listen.
    #[serde(rename = "miss_threshold_seconds", with = "Seconds::<0, 3_600_000>")]
    pub miss_threshold: Duration,
    /// Most tasks returned by one look.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub batch_size: i32,
}

/// Claims of ready steps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimsConfig {
    /// Most steps claimed by one call.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub batch_size: i32,
    /// Whether the first steps of what is submitted over the API of this process are put in queues with it.
    pub on_submission: bool,
}

/// Retries and leases that are due.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimersConfig {
    /// Most of them handled by one call.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub batch_size: i32,
    /// Longest sleep when nothing is due.
    #[serde(rename = "max_sleep_seconds", with = "Seconds::<10, 3_600_000>")]
    pub max_sleep: Duration,
}
