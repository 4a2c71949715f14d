//! Steps whose handler not every worker knows.

use serde::Deserialize;
use serde_json::{Value, json};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_worker::{HandlerError, Handlers, Step, Worker};

use super::world::World;

/// A step that only a program of somebody's own can run, between two that every worker can.
const GREETING: &str = "\
namespace: graphs
name: greeting
version: 1.0.0
steps:
  - { name: name, handler: builtin.echo, input: { who: world } }
  - { name: greet, handler: custom.greet, depends_on: [name] }
  - { name: end, handler: builtin.noop, depends_on: [greet] }
";

/// A step that nobody can run, beside one that everybody can.
const ORPHAN: &str = "\
namespace: graphs
name: orphan
version: 1.0.0
steps:
  - { name: orphan, handler: nobody.knows }
  - { name: healthy, handler: builtin.noop }
";

#[derive(Deserialize)]
struct Name {
    who: String,
}

async fn greet(step: Step) -> Result<Value, HandlerError> {
    let name: Name = step.dependency("name")?;
    Ok(json!({ "greeting": format!("hello {}", name.who) }))
}

#[tokio::test]
async fn a_step_reaches_the_worker_that_knows_its_handler_though_another_received_it_first() {
    let world = World::start().await;
    world.apply(GREETING).await;
    let orchestrator = world.orchestrator(&[]).await;
    let stranger = world
        .worker(&[
            ("TASKER__WORKER__REFUSAL_DELAY_MS", "50"),
            ("TASKER__WORKER__MAX_REFUSALS", "1000000"),
        ])
        .await;
    world.submit("greeting", 5).await;
    world
        .wait_for(
            "the stranger has refused every one of them",
            "select count(*) = 5 from tasker.steps where refusals > 0 and state <> 'complete'",
        )
        .await;

    let config = TaskerConfig::default();
    let database = Database::connect(&DatabaseConfig {
        url: world.url().into(),
        ..config.database
    })
    .await
    .unwrap();
    let knowing = Worker::start(
        &database,
        &config.worker,
        &config.event_systems,
        &config.mpsc_channels,
        Handlers::new().register("custom.greet", greet),
    );

    world.wait_for_the_end().await;
    world.assert_complete(5).await;
    let greetings: Vec<Value> = world
        .values(
            "select distinct s.result || jsonb_build_object('attempt', s.attempt)
             from tasker.steps s join tasker.template_steps ts using (template_id, step_no)
             where ts.name = 'greet'",
        )
        .await;
    let greeting = json!({ "greeting": "hello world", "attempt": 1 });
    assert_eq!(greetings, [greeting], "a refusal is no attempt");
    assert!(stranger.metric("tasker_steps_refused_total", "").await >= 5);
    assert!(knowing.drain().await.is_complete);
    database.pool().close().await;
    world.end([orchestrator, stranger]).await;
}

#[tokio::test]
async fn a_step_whose_handler_nobody_knows_fails_after_the_configured_refusals() {
    let world = World::start().await;
    world.apply(ORPHAN).await;
    let refusals = [
        ("TASKER__WORKER__REFUSAL_DELAY_MS", "20"),
        ("TASKER__WORKER__MAX_REFUSALS", "6"),
    ];
    let roles = [
        world.orchestrator(&[]).await,
        world.worker(&refusals).await,
        world.worker(&refusals).await,
    ];
    world.submit("orphan", 5).await;
    world.wait_for_the_end().await;

    let ends: Vec<String> = world
        .values(
            "select format('%s: %s, %s refusals%s', ts.name, s.state, s.refusals,
               ', ' || (s.error ->> 'kind'))
             from tasker.steps s join tasker.template_steps ts using (template_id, step_no)
             group by 1, s.step_no having count(*) = 5 order by s.step_no",
        )
        .await;
    assert_eq!(
        ends,
        [
            "orphan: error, 6 refusals, unknown_handler",
            "healthy: complete, 0 refusals"
        ]
    );
    world.end(roles).await;
}
