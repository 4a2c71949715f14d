//! The worker's part of the configuration.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{DeploymentConfig, check, instance};

/// The worker: receives steps, runs handlers, reports outcomes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Name of the worker; empty: generated.
    #[garde(length(max = 200))]
    pub instance_id: String,
    /// Namespaces whose steps are taken, by preference; empty: all.
    #[garde(custom(check::namespaces))]
    pub namespaces: Vec<String>,
    /// Most handlers that run at the same time.
    #[garde(range(min = 1, max = 100_000))]
    pub concurrency: usize,
    /// How long a received step belongs to the worker without a heartbeat.
    #[garde(custom(check::seconds(0.1, 86_400.0)))]
    pub lease_seconds: f64,
    /// Most steps received by one call.
    #[garde(range(min = 1, max = 100_000))]
    pub receive_batch_size: i32,
    /// Most bytes that the steps received by one call are given.
    #[garde(range(min = 1, max = 200_000_000))]
    pub receive_batch_bytes: i64,
    /// Most outcomes reported by one call.
    #[garde(range(min = 1, max = 100_000))]
    pub report_batch_size: usize,
    /// Loops that report outcomes, each on a connection of its own.
    #[garde(range(min = 1, max = 64))]
    pub reporters: usize,
    /// Time between two looks for steps that no notification announced.
    #[garde(range(min = 10, max = 3_600_000))]
    pub poll_interval_ms: u64,
    /// How long running handlers get to finish at shutdown.
    #[garde(custom(check::seconds(0.0, 86_400.0)))]
    pub drain_timeout_seconds: f64,
    /// Largest result of a step, as JSON.
    #[garde(range(min = 1, max = 268_435_456))]
    pub max_result_bytes: usize,
    /// Steps that may follow one another without a trip through the queue; 0: none.
    #[garde(range(max = 100_000))]
    pub continuation_limit: u32,
    /// How the worker finds steps.
    #[garde(dive)]
    pub deployment: DeploymentConfig,
}

impl WorkerConfig {
    /// The configured name, or one generated for this process.
    pub fn instance_name(&self) -> &str {
        instance::name(&self.instance_id)
    }

    /// How long a received step belongs to the worker without a heartbeat.
    pub fn lease(&self) -> Duration {
        Duration::from_secs_f64(self.lease_seconds)
    }

    /// Time between two looks for steps that no notification announced.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    /// How long running handlers get to finish at shutdown.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.drain_timeout_seconds)
    }
}
