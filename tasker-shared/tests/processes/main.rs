//! What processes tell about themselves, and what is seen by it: steps that no worker can run.

#![allow(clippy::unwrap_used)]

mod registered;
#[path = "../support/mod.rs"]
mod support;
mod without_worker;

use support::World;
use tasker_shared::processes::{self, ProcessSummary};

async fn listed(world: &mut World) -> Vec<ProcessSummary> {
    processes::list_processes(&mut world.connection)
        .await
        .unwrap()
}
