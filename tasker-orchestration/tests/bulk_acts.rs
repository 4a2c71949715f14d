//! What is done to many tasks is gone on with when the process that began it is gone.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use tasker_shared::bulk::{BulkAction, BulkFilter, BulkState, bulk_act, start_bulk_act};
use tasker_shared::config::DeploymentMode::PollingOnly;
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

#[tokio::test]
async fn an_orchestrator_goes_on_with_an_act_that_its_process_left() {
    let world = World::create().await;
    for _ in 0..3 {
        world.submit(0).await;
    }
    let mut connection = world.pool.acquire().await.unwrap();
    let pending = BulkFilter {
        state: Some(TaskState::Pending),
        ..BulkFilter::default()
    };
    let bulk = start_bulk_act(&mut connection, BulkAction::Cancel, &pending, "me", None)
        .await
        .unwrap();
    sqlx::query("update tasker.bulk_acts set touched_at = touched_at - interval '1 min'")
        .execute(&mut *connection)
        .await
        .unwrap();

    let mut config = world.config(PollingOnly);
    // It claims nothing of them meanwhile.
    config.orchestration.namespaces = vec!["another".to_owned()];
    let orchestrator = world.start(&config).await;
    wait_until("the act has ended", WAIT_TIMEOUT, async || {
        let act = bulk_act(&mut connection, bulk).await.unwrap().unwrap();
        act.state == BulkState::Finished && act.done == 3
    })
    .await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
