//! Keeps the leases of running steps, and finds out that a step is no longer wanted.
//!
//! It has a thread, a runtime and a connection of its own: a handler that blocks its thread can
//! stall the runtime it runs in, and must not lose the leases of all others by that.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tasker_shared::config::SupervisorConfig;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::ids::StepId;
use tasker_shared::outage::{Outage, Outages};
use tasker_shared::steps::{LeaseLost, extend_leases};
use tasker_shared::supervisor::{Supervised, Supervisor};
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::leases::Leases;

/// How often a lease is extended while it lasts.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// The part of a lease that one call may take, with the time to connect. When a heartbeat is due a
/// third of the lease is over; then two whole attempts, each on a connection of its own, and the
/// longest pause between them fit into what is left: the process at the other end of the first may
/// be frozen.
const CALLS_PER_LEASE: u32 = 4;

/// The part of a lease that may pass between two attempts.
const PAUSES_PER_LEASE: u32 = 12;

/// How many leases one call extends; few enough for a call of milliseconds.
const BATCH: usize = 1000;

/// The loop that extends leases.
pub(crate) struct Heartbeat {
    worker: String,
    connection: DedicatedConnection,
    leases: Arc<Leases>,
    lease: Duration,
    shutdown: CancellationToken,
    next: Instant,
    outage: Outage,
}

/// Starts the loop on a thread of its own.
///
/// # Panics
/// When the operating system has no thread or no file descriptor left.
pub(crate) fn start(heartbeat: Heartbeat, config: &SupervisorConfig) {
    let mut supervisor = Supervisor::new(config, heartbeat.shutdown.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the operating system gives a runtime for heartbeats");
    thread::Builder::new()
        .name("heartbeat".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                supervisor.start(heartbeat);
                supervisor.ended().await;
            });
        })
        .expect("the operating system gives a thread for heartbeats");
}

impl Heartbeat {
    pub(crate) fn new(
        worker: String,
        connection: DedicatedConnection,
        leases: Arc<Leases>,
        lease: Duration,
        outages: &Outages,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            worker,
            connection: connection.strictly_within(lease / CALLS_PER_LEASE),
            leases,
            lease,
            shutdown,
            next: Instant::now() + lease / HEARTBEATS_PER_LEASE,
            outage: outages
                .outage(Self::NAME, "extend leases")
                .pausing_at_most(lease / PAUSES_PER_LEASE),
        }
    }

    /// Extends these leases and acts on those that are lost. A batch that fails is not waited for by
    /// the others.
    async fn extend(&mut self, steps: &[(StepId, i32)]) -> Result<(), Error> {
        let mut result = Ok(());
        for batch in steps.chunks(BATCH) {
            result = result.and(self.extend_batch(batch).await);
        }
        result
    }

    async fn extend_batch(&mut self, steps: &[(StepId, i32)]) -> Result<(), Error> {
        let (worker, lease) = (&self.worker, self.lease);
        let lost = self
            .connection
            .call("extend_leases", async |connection| {
                extend_leases(connection, worker, steps, lease).await
            })
            .await?;
        let mut result = Ok(());
        for LeaseLost { index, reason } in lost {
            let Some((id, receipt)) = steps.get(index).copied() else {
                return Err(Error::Corrupt(format!("lease {index} of {}", steps.len())));
            };
            if let Some(problem) = reason.strip_prefix("failed: ") {
                let message = format!("the queue cannot be written: {problem}");
                result = Err(Error::Unavailable { message });
            } else {
                self.lost(id, receipt, &reason);
            }
        }
        result
    }

    /// Notifies the handler. Where it ended meanwhile, its outcome is on its way and nothing is
    /// lost.
    fn lost(&self, step: StepId, receipt: i32, reason: &str) {
        if reason == "cancelled" {
            if self.leases.cancel(step, receipt) {
                info!(%step, receipt, "the task was cancelled; its handler is told");
                metrics().leases_lost("cancelled", 1);
            }
        } else if self.leases.abort(step, receipt) {
            info!(%step, receipt, "the attempt is no longer the current one; its handler ends");
            metrics().leases_lost("stale", 1);
        }
    }
}

impl Supervised for Heartbeat {
    const NAME: &'static str = "worker_heartbeat";

    async fn run(&mut self) {
        loop {
            let steps = tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep_until(self.next) => {
                    self.next = Instant::now() + self.lease / HEARTBEATS_PER_LEASE;
                    self.leases.to_extend()
                }
                () = self.leases.check_requested() => self.leases.to_check(),
            };
            if steps.is_empty() {
                continue;
            }
            match self.extend(&steps).await {
                Ok(()) => self.outage.over(),
                Err(error) => {
                    // A repeated call finds out what the failed one did.
                    let soon = Instant::now() + self.outage.failed(&error);
                    self.next = self.next.min(soon);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_attempts_fit_into_what_is_left_of_a_lease_when_a_heartbeat_is_due() {
        let lease = Duration::from_secs(30);
        let due = lease / HEARTBEATS_PER_LEASE;
        let attempts = 2 * (lease / CALLS_PER_LEASE) + lease / PAUSES_PER_LEASE;
        assert!(due + attempts < lease, "{attempts:?} from {due:?} on");
    }
}
