//! Workers that are killed or frozen in the middle of work: what they held runs elsewhere, and what
//! they report too late counts for nothing.

use tasker_testing::{WAIT_TIMEOUT, wait_until};

use super::templates::{mixed_of_sleeps, sleep};
use super::world::{Role, SHORT_LEASE, World};

const TASKS: usize = 60;

/// Few places, so that the work takes a while.
const FEW_PLACES: (&str, &str) = ("TASKER__WORKER__CONCURRENCY", "20");

async fn named_worker(world: &World, name: &str) -> Role {
    let environment = [SHORT_LEASE, FEW_PLACES, ("INSTANCE_ID", name)];
    world.worker(&environment).await
}

/// Waits until steps have completed and the worker has taken every place it has.
async fn wait_until_busy(world: &World, worker: &str) {
    let sql = format!(
        "select exists (select from tasker.steps where state = 'complete') and (
           select count(*) from tasker.steps where state = 'in_progress' and worker = '{worker}'
         ) >= 15"
    );
    world
        .wait_for(&format!("{worker} is in the middle of work"), &sql)
        .await;
}

/// How many attempts were given up because their worker was lost.
async fn lost_attempts(world: &World) -> i64 {
    world
        .value(
            "select count(*) from tasker.step_transitions
             where to_state = 'waiting_for_retry' and error ->> 'kind' = 'lease_expired'",
        )
        .await
}

#[tokio::test]
async fn the_steps_of_a_killed_worker_are_run_by_the_other() {
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(200)).await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut victim = named_worker(&world, "victim").await;
    let survivor = named_worker(&world, "survivor").await;
    world.submit("mixed", TASKS).await;

    wait_until_busy(&world, "victim").await;
    victim.process.kill9();

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    assert!(lost_attempts(&world).await > 0, "the victim held nothing");
    world.end([orchestrator, survivor]).await;
}

#[tokio::test]
async fn a_new_worker_goes_on_where_the_only_one_was_killed() {
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(200)).await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut victim = named_worker(&world, "victim").await;
    world.submit("mixed", TASKS).await;

    wait_until_busy(&world, "victim").await;
    victim.process.kill9();
    let successor = named_worker(&world, "successor").await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    assert!(lost_attempts(&world).await > 0, "the victim held nothing");
    world.end([orchestrator, successor]).await;
}

#[tokio::test]
async fn a_worker_frozen_beyond_its_leases_reports_too_late_and_each_step_completes_once() {
    let world = World::start().await;
    world.apply(&sleep(1500)).await;
    let orchestrator = world.orchestrator(&[]).await;
    let frozen = named_worker(&world, "frozen").await;
    world.submit("sleep", 20).await;
    world
        .wait_for(
            "all steps are in its hands",
            "select count(*) = 20 from tasker.steps where state = 'in_progress'",
        )
        .await;
    frozen.process.freeze();
    let held: i64 = world
        .value("select count(*) from tasker.steps where state = 'in_progress'")
        .await;
    assert!(held > 0, "it had reported everything");

    let other = named_worker(&world, "other").await;
    world.wait_for_the_end().await;
    assert_eq!(lost_attempts(&world).await, held);
    frozen.process.unfreeze();

    wait_until(
        "its outcomes are found to be late",
        WAIT_TIMEOUT,
        async || {
            let late = frozen.metric("tasker_stale_outcomes_total", "").await;
            let ended = frozen.metric("tasker_leases_lost_total", "stale").await;
            late + ended == held
        },
    )
    .await;
    world.assert_complete(20).await;
    let by_the_other: i64 = world
        .value("select count(*) from tasker.steps where worker = 'other' and attempt = 2")
        .await;
    assert_eq!(by_the_other, held);
    // It is as good as any other.
    world.submit("sleep", 20).await;
    world.wait_for_the_end().await;
    world.assert_complete(40).await;
    world.end([orchestrator, frozen, other]).await;
}
