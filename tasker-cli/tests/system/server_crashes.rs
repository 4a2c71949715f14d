//! PostgreSQL restarted and killed in the middle of work, while tasks are submitted: all processes
//! stay, nothing acknowledged is lost, and everything goes on by itself.

use std::collections::HashSet;

use tasker_testing::{Durability, TestServer};
use uuid::Uuid;

use super::clients::Clients;
use super::templates::{DIAMOND, LINEAR, MIXED, TREE, mixed_of_sleeps};
use super::world::{NO_POLLING, SHORT_LEASE, World};

/// Clients, each with one task under way.
const CLIENTS: usize = 40;
/// How often the server goes away under them.
const OUTAGES: usize = 3;
/// Tasks that were submitted before everything is killed at once.
const TASKS: usize = 50;
/// Tasks of each template of a full load.
const TASKS_OF_A_LOAD: usize = 1000;

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing_and_needs_no_hand() {
    an_outage_loses_nothing_and_needs_no_hand(async |server| server.restart().await).await;
}

#[tokio::test]
async fn a_crash_of_the_server_loses_nothing_and_needs_no_hand() {
    an_outage_loses_nothing_and_needs_no_hand(async |server| {
        server.kill().await;
        server.restart().await;
    })
    .await;
}

#[tokio::test]
async fn crashes_under_full_load_lose_no_message_and_mix_up_none() {
    crashes_under_full_load("false").await;
}

#[tokio::test]
async fn crashes_under_full_load_lose_nothing_where_queues_are_unlogged() {
    crashes_under_full_load("true").await;
}

async fn crashes_under_full_load(unlogged: &str) {
    // Claims and receipts are not durable: under load, each crash undoes some of them.
    let world = World::with_server(Durability::Production).await;
    let use_unlogged = format!("select tasker.use_unlogged_queues({unlogged})");
    world.value::<i32>(&use_unlogged).await;
    let mut environment = NO_POLLING.to_vec();
    environment.push(SHORT_LEASE);
    environment.push(("TASKER__EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "500"));
    for template in [LINEAR, DIAMOND, TREE, MIXED] {
        world.apply(template).await;
    }
    let mut roles = [
        world.orchestrator(&environment).await,
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
        world.worker(&environment).await,
    ];
    let names = ["linear", "diamond", "tree", "mixed"];
    for name in names {
        world.submit(name, TASKS_OF_A_LOAD).await;
    }
    for share in ["0.1", "0.2", "0.35", "0.5"] {
        let sql = format!(
            "select count(*) filter (where state = 'complete') > {share} * count(*)
             from tasker.steps"
        );
        world
            .wait_for("the next part of the steps is done", &sql)
            .await;
        world.server().kill().await;
        world.server().restart().await;
    }
    let open: bool = world
        .value("select exists (select from tasker.tasks where state in ('pending', 'in_progress'))")
        .await;
    assert!(open, "everything had ended before the last crash");

    world.wait_for_the_end().await;
    world.assert_complete(TASKS_OF_A_LOAD * names.len()).await;
    for role in &mut roles {
        role.assert_alive();
    }
    world.assert_recorded(&roles[2..]).await;
    world.end(roles).await;
}

#[tokio::test]
async fn everything_killed_at_once_goes_on_when_it_is_started_again() {
    let world = World::with_server(Durability::Production).await;
    world.apply(&mixed_of_sleeps(200)).await;
    let environment = [SHORT_LEASE];
    let start = async || {
        [
            world.orchestrator(&environment).await,
            world.worker(&environment).await,
        ]
    };
    let mut roles = start().await;
    world.submit("mixed", TASKS).await;
    world
        .wait_for(
            "steps complete while others run",
            "select count(*) filter (where state = 'complete') >= 50
               and count(*) filter (where state = 'in_progress') >= 1
             from tasker.steps",
        )
        .await;

    world.server().kill().await;
    for role in &mut roles {
        role.process.kill9();
    }
    world.server().restart().await;
    let roles = start().await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    world.end(roles).await;
}

async fn an_outage_loses_nothing_and_needs_no_hand(outage: impl AsyncFn(&TestServer)) {
    let world = World::with_server(Durability::Production).await;
    world.apply(&mixed_of_sleeps(50)).await;
    let mut environment = NO_POLLING.to_vec();
    environment.push(SHORT_LEASE);
    let orchestrators = [
        world.orchestrator(&environment).await,
        world.orchestrator(&environment).await,
    ];
    let workers = [
        world.worker(&environment).await,
        world.worker(&environment).await,
    ];
    let addresses = orchestrators.each_ref().map(|role| role.address.as_str());
    let clients = Clients::start(CLIENTS, &addresses, "mixed");
    for _ in 0..OUTAGES {
        let complete = clients.acknowledged().complete.len();
        clients.wait_for(complete + CLIENTS).await;
        world
            .wait_for(
                "steps run",
                "select count(*) >= 1 from tasker.steps where state = 'in_progress'",
            )
            .await;
        let seen = completed_steps(&world).await;

        outage(world.server()).await;

        let told = clients.acknowledged();
        assert!(
            seen.is_subset(&completed_steps(&world).await),
            "outcomes were lost"
        );
        assert!(told.submitted.is_subset(&tasks(&world, "true").await));
        assert!(
            told.complete
                .is_subset(&tasks(&world, "state = 'complete'").await)
        );
    }
    let told = clients.stop().await;
    world.wait_for_the_end().await;

    // Each client named each of its tasks, so that none was submitted twice.
    assert_eq!(told.submitted, tasks(&world, "true").await);
    assert_eq!(told.complete, told.submitted);
    world.assert_complete(told.submitted.len()).await;
    world.assert_recorded(&workers).await;
    let mut roles = Vec::from(orchestrators);
    roles.extend(workers);
    for role in &mut roles {
        role.assert_alive();
    }
    world.end(roles).await;
}

async fn tasks(world: &World, which: &str) -> HashSet<Uuid> {
    let sql = format!("select task_uuid from tasker.tasks where {which}");
    let tasks: Vec<Uuid> = world.values(&sql).await;
    tasks.into_iter().collect()
}

/// The outcomes that a client can see: of which step, which attempt, and when.
async fn completed_steps(world: &World) -> HashSet<String> {
    let steps: Vec<String> = world
        .values(
            "select format('%s step %s attempt %s at %s', task_uuid, step_no, attempt, finished_at)
             from tasker.steps where state = 'complete'",
        )
        .await;
    steps.into_iter().collect()
}
