//! What an orchestrator reports about itself, and about steps that no worker can run.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use tasker_shared::config::DeploymentMode::Hybrid;
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

async fn listed(world: &World) -> Vec<ProcessSummary> {
    let mut connection = world.pool.acquire().await.unwrap();
    list_processes(&mut connection).await.unwrap()
}

#[tokio::test]
async fn an_orchestrator_tells_of_itself_as_long_as_it_runs() {
    let world = World::create().await;
    let mut config = world.config(Hybrid);
    config.orchestration.instance_id = "o-1".to_owned();
    config.orchestration.namespaces = vec!["shop".to_owned()];
    let orchestrator = world.start(&config).await;
    wait_until(
        "the orchestrator has told of itself",
        WAIT_TIMEOUT,
        async || !listed(&world).await.is_empty(),
    )
    .await;

    let told = listed(&world).await.remove(0);
    assert_eq!((&*told.identity, &*told.role), ("o-1", "orchestrator"));
    assert_eq!((&*told.mode, told.places), ("Hybrid", None));
    assert_eq!(told.namespaces, ["shop"]);

    orchestrator.stop().await;
    assert!(listed(&world).await.is_empty());
}

#[tokio::test]
async fn steps_that_nobody_can_run_are_scraped_until_somebody_can() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(Hybrid)).await;
    for _ in 0..3 {
        world.submit(0).await;
    }
    let series = r#"tasker_steps_without_worker{handler="shop.first",namespace="shop"} 3"#;
    wait_until("the metric tells of the steps", WAIT_TIMEOUT, async || {
        render_prometheus().lines().any(|line| line == series)
    })
    .await;

    let register = "select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 1, '0', \
                    'Hybrid', '{}', '{shop.first}', 1, 0, 0)";
    sqlx::query(register).execute(&world.pool).await.unwrap();

    wait_until("the metric is silent again", WAIT_TIMEOUT, async || {
        !render_prometheus().contains("tasker_steps_without_worker{")
    })
    .await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
