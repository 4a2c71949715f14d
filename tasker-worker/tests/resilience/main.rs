//! Server processes that freeze, refuse or take no writes: leases are kept, outcomes are never thrown
//! away, and everything goes on by itself.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod frozen;
mod leases;
mod lost_answers;
mod read_only;
mod refused;
#[path = "../world/mod.rs"]
mod world;

use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::RunningWorker;

async fn wait_until_failing(worker: &RunningWorker, doing: &str) {
    wait_until("the worker says that it fails", WAIT_TIMEOUT, async || {
        let health = worker.health();
        !health.is_healthy() && health.failing.iter().any(|it| it.doing == doing)
    })
    .await;
}

async fn wait_until_healthy(worker: &RunningWorker) {
    wait_until("the worker is healthy again", WAIT_TIMEOUT, async || {
        worker.health().is_healthy() && worker.health().outcomes_waiting == 0
    })
    .await;
}
