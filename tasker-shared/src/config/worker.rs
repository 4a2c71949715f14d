//! The worker's part of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    DeploymentConfig,
    check::{self, Millis, Seconds},
    instance,
};

/// The worker: receives steps, runs handlers, reports outcomes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Name of the worker; empty: generated.
    #[serde(deserialize_with = "check::instance_id")]
    pub instance_id: String,
    /// Namespaces whose steps are taken, by preference; empty: all.
    #[serde(deserialize_with = "check::namespaces")]
    pub namespaces: Vec<String>,
    /// Most handlers that run at the same time.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub concurrency: usize,
    /// How long a received step belongs to the worker without a heartbeat.
    #[serde(rename = "lease_seconds", with = "Seconds::<100, 86_400_000>")]
    pub lease: Duration,
    /// Most steps received by one call.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub receive_batch_size: i32,
    /// Most bytes that the steps received by one call are given.
    #[serde(deserialize_with = "check::within::<_, _, 1, 200_000_000>")]
    pub receive_batch_bytes: i64,
    /// Most outcomes reported by one call.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub report_batch_size: usize,
    /// Loops that report outcomes, each on a connection of its own.
    #[serde(deserialize_with = "check::within::<_, _, 1, 64>")]
    pub reporters: usize,
    /// Time between two looks for steps that no notification announced.
    #[serde(rename = "poll_interval_ms", with = "Millis::<10, 3_600_000>")]
    pub poll_interval: Duration,
    /// How long running handlers get to finish at shutdown.
    #[serde(rename = "drain_timeout_seconds", with = "Seconds::<0, 86_400_000>")]
    pub drain_timeout: Duration,
    /// Largest result of a step, as JSON.
    #[serde(deserialize_with = "check::within::<_, _, 1, 268_435_456>")]
    pub max_result_bytes: usize,
    /// Steps that may follow one another without a trip through the queue; 0: none.
    #[serde(deserialize_with = "check::within::<_, _, 0, 100_000>")]
    pub continuation_limit: u32,
    /// Whether what an outcome makes ready is put into its queue with it, without a claim.
    pub enqueue_dependents: bool,
    /// How the worker finds steps.
    pub deployment: DeploymentConfig,
}

impl WorkerConfig {
    /// The configured name, or one generated for this process.
    pub fn instance_name(&self) -> &str {
        instance::name(&self.instance_id)
    }
}
