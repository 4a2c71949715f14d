//! Processes that are registered, and seen or not.

use std::time::Duration;

use tasker_shared::config::DeploymentMode;
use tasker_shared::processes::{self, Places, Process, Role};
use uuid::Uuid;

use super::World;

/// Ten places, three of which are taken.
pub const SOME: Places = Places {
    offered: 10,
    taken: 3,
};

/// A worker of these namespaces, of all where none is named, that knows these handlers.
pub fn worker(identity: &str, namespaces: &[&str], handlers: &[&str]) -> Process {
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
pub async fn register(world: &mut World, process: &Process) -> Uuid {
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
pub async fn unseen_for(world: &mut World, process: Uuid, seconds: i32) {
    world
        .run(format!(
            "update tasker.processes set last_seen_at = clock_timestamp() - interval '{seconds} s' \
             where registration_uuid = '{process}'"
        ))
        .await;
}

/// An orchestrator of these namespaces, of all where none is named.
pub fn orchestrator(identity: &str, namespaces: &[&str]) -> Process {
    Process {
        role: Role::Orchestrator,
        handlers: Vec::new(),
        ..worker(identity, namespaces, &[])
    }
}
