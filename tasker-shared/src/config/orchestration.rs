//! The orchestrator's part of the configuration.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{DeploymentConfig, check, instance};

/// The orchestrator: finds ready steps and puts them in queues.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationConfig {
    /// Name of the orchestrator; empty: generated.
    #[garde(length(max = 200))]
    pub instance_id: String,
    /// Namespaces that are served; empty: all.
    #[garde(custom(check::namespaces))]
    pub namespaces: Vec<String>,
    /// How ready tasks are found.
    #[garde(dive)]
    pub deployment: DeploymentConfig,
    /// Polling for ready tasks.
    #[garde(dive)]
    pub task_readiness: TaskReadinessConfig,
    /// Claims.
    #[garde(dive)]
    pub claims: ClaimsConfig,
    /// Retries and leases that are due.
    #[garde(dive)]
    pub timers: TimersConfig,
}

impl OrchestrationConfig {
    /// The configured name, or one generated for this process.
    pub fn instance_name(&self) -> &str {
        instance::name(&self.instance_id)
    }
}

/// Polling for ready tasks that no notification announced.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskReadinessConfig {
    /// Time between two looks.
    #[garde(custom(check::seconds(0.01, 3600.0)))]
    pub fallback_polling_interval_seconds: f64,
    /// How long a task must have been ready to be taken.
    #[garde(custom(check::seconds(0.0, 3600.0)))]
    pub age_threshold_seconds: f64,
    /// Most tasks returned by one look.
    #[garde(range(min = 1, max = 100_000))]
    pub batch_size: i32,
}

impl TaskReadinessConfig {
    /// Time between two looks.
    pub fn fallback_polling_interval(&self) -> Duration {
        Duration::from_secs_f64(self.fallback_polling_interval_seconds)
    }

    /// How long a task must have been ready to be taken.
    pub fn age_threshold(&self) -> Duration {
        Duration::from_secs_f64(self.age_threshold_seconds)
    }
}

/// Claims of ready steps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ClaimsConfig {
    /// Most steps claimed by one call.
    #[garde(range(min = 1, max = 100_000))]
    pub batch_size: i32,
}

/// Retries and leases that are due.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TimersConfig {
    /// Most of them handled by one call.
    #[garde(range(min = 1, max = 100_000))]
    pub batch_size: i32,
    /// Longest sleep when nothing is due.
    #[garde(custom(check::seconds(0.01, 3600.0)))]
    pub max_sleep_seconds: f64,
}

impl TimersConfig {
    /// Longest sleep when nothing is due.
    pub fn max_sleep(&self) -> Duration {
        Duration::from_secs_f64(self.max_sleep_seconds)
    }
}
