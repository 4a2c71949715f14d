//! What an orchestrator shows of the database. Metrics belong to the process, so this test has one to
//! itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use tasker_shared::config::DeploymentMode::Hybrid;
use tasker_shared::telemetry::render_prometheus;
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

/// In a namespace that the orchestrator does not serve.
const UNSERVED: &str = "
namespace: depot
name: one
version: 1.0.0
steps:
  - { name: only, handler: depot.only }
";

async fn wait_for(series: &str) {
    wait_until(series, WAIT_TIMEOUT, async || {
        render_prometheus().lines().any(|line| line == series)
    })
    .await;
}

#[tokio::test]
async fn an_orchestrator_shows_backlogs_of_all_namespaces_and_processes_that_are_lost() {
    let world = World::create().await;
    let mut config = world.config(Hybrid);
    config.orchestration.namespaces = vec!["shop".to_owned()];
    let orchestrator = world.start(&config).await;
    for _ in 0..3 {
        world.submit(0).await;
    }
    wait_for(r#"tasker_queue_depth{namespace="shop"} 3"#).await;
    let before = render_prometheus();
    for series in [
        r#"tasker_queue_waiting_steps{namespace="shop"} 3"#,
        r#"tasker_ready_steps{namespace="shop"} 0"#,
        r#"tasker_live_processes{role="orchestrator"} 1"#,
        r#"tasker_processes_lost_total{role="worker"} 0"#,
    ] {
        assert!(before.lines().any(|line| line == series), "{before}");
    }

    let unserved = Template::parse_yaml(UNSERVED).unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    apply_template(&mut connection, &unserved).await.unwrap();
    sqlx::query("select tasker.submit_task('depot', 'one', '{}')")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    wait_for(r#"tasker_ready_steps{namespace="depot"} 1"#).await;

    let register = "with lost as (select gen_random_uuid() as uuid), registered as (
          select tasker.register_process(uuid, 'w', 'worker', 'h', 1, '0', 'Hybrid', '{}', '{}',
            1, 0, 0), uuid
          from lost
        )
        select uuid from registered";
    let lost: sqlx::types::Uuid = sqlx::query_scalar(register)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    sqlx::query(
        "update tasker.processes set last_seen_at = clock_timestamp() - interval '31 s'
         where registration_uuid = $1",
    )
    .bind(lost)
    .execute(&world.pool)
    .await
    .unwrap();

    wait_for(r#"tasker_processes_lost_total{role="worker"} 1"#).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}
