//! Orchestrators that are killed or frozen in the middle of work: they hold nothing that could be lost.

use tasker_testing::THROUGH_ORCHESTRATORS;

use super::templates::mixed_of_sleeps;
use super::world::World;

const TASKS: usize = 100;

/// What workers do not go on with needs an orchestrator.
const CLAIMED: [(&str, &str); 1] = [THROUGH_ORCHESTRATORS[1]];

/// Waits until some tasks have ended and others have not begun to end.
async fn wait_until_under_way(world: &World) {
    world
        .wait_for(
            "steps have completed and others have not",
            "select count(*) filter (where state = 'complete') >= 100
               and count(*) filter (where state <> 'complete') >= 100
             from tasker.steps",
        )
        .await;
}

/// Says that there is work left, so that whoever ends it did not have it easy.
async fn assert_unfinished(world: &World) {
    let open: bool = world
        .value("select exists (select from tasker.tasks where state in ('pending', 'in_progress'))")
        .await;
    assert!(open, "everything had ended before");
}

#[tokio::test]
async fn the_other_orchestrator_goes_on_when_one_is_killed() {
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(300)).await;
    let mut victim = world.orchestrator(&[]).await;
    let survivor = world.orchestrator(&[]).await;
    let worker = world.worker(&CLAIMED).await;
    world.submit("mixed", TASKS).await;

    wait_until_under_way(&world).await;
    victim.process.kill9();
    assert_unfinished(&world).await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    world.end([survivor, worker]).await;
}

#[tokio::test]
async fn a_new_orchestrator_goes_on_where_the_only_one_was_killed() {
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(300)).await;
    let mut victim = world.orchestrator(&[]).await;
    let worker = world.worker(&CLAIMED).await;
    world.submit("mixed", TASKS).await;

    wait_until_under_way(&world).await;
    victim.process.kill9();
    world
        .wait_for(
            "all that was claimed has run",
            "select not exists (
               select from tasker.steps where state in ('enqueued', 'in_progress')
             )",
        )
        .await;
    assert_unfinished(&world).await;
    let successor = world.orchestrator(&[]).await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    world.end([successor, worker]).await;
}

#[tokio::test]
async fn a_frozen_orchestrator_holds_up_nobody_and_goes_on_when_it_wakes() {
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(300)).await;
    let frozen = world.orchestrator(&[]).await;
    let awake = world.orchestrator(&[]).await;
    let worker = world.worker(&CLAIMED).await;
    world.submit("mixed", TASKS).await;

    wait_until_under_way(&world).await;
    frozen.process.freeze();
    assert_unfinished(&world).await;
    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;

    frozen.process.unfreeze();
    awake.stop().await;
    world.submit("mixed", TASKS).await;
    world.wait_for_the_end().await;
    world.assert_complete(2 * TASKS).await;
    world.end([frozen, worker]).await;
}
