//! What processes tell about themselves, and what is seen by it: steps that nobody can run.

#![allow(clippy::unwrap_used)]

mod registered;
#[path = "../support/mod.rs"]
mod support;
mod without_worker;

use std::time::Duration;

use support::World;
use tasker_shared::config::DeploymentMode;
use tasker_shared::processes::{self, Places, Process, ProcessSummary, Role};
use uuid::Uuid;

const SOME: Places = Places {
    offered: 10,
    taken: 3,
};

fn worker(identity: &str, namespaces: &[&str], handlers: &[&str]) -> Process {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Process {
        identity: identity.to_owned(),
        role: Role::Worker,
        mode: DeploymentMode::Hybrid,
        namespaces: owned(namespaces),
        handlers: owned(handlers),
    }
}

/// Registers a process that started a minute ago.
async fn register(world: &mut World, process: &Process) -> Uuid {
    let uuid = Uuid::now_v7();
    let places = (process.role == Role::Worker).then_some(SOME);
    processes::register(
        &mut world.connection,
        uuid,
        process,
        places,
        Duration::from_mins(1),
    )
    .await
    .unwrap();
    uuid
}

/// Lets so many seconds pass since this process was last seen.
async fn suppress_notify(world: &mut World, process: Uuid, seconds: i32) {
    world
        .run(format!(
            "update tasker.processes set last_seen_at = clock_timestamp() - interval '{seconds} s' \
             where registration_uuid = '{process}'"
        ))
        .await;
}

async fn listed(world: &mut World) -> Vec<ProcessSummary> {
    processes::list_processes(&mut world.connection)
        .await
        .unwrap()
}
