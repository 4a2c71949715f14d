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

#[derive(Deserialize)]
struct Name {
    who: String,
}

async fn greet(step: Step) -> Result<Value, HandlerError> {
    let name: Name = step.dependency("name")?;
    Ok(json!({ "greeting": format!("hello {}", name.who) }))
}

#[tokio::test]
async fn a_step_waits_for_the_worker_that_knows_its_handler() {
    let world = World::start().await;
    world.apply(GREETING).await;
    let orchestrator = world.orchestrator(&[]).await;
    let stranger = world.worker(&[]).await;
    world.submit("greeting", 5).await;
    world
        .wait_for(
            "all wait for their greeting",
            "select count(*) = 5 from tasker.steps s
             join tasker.template_steps ts using (template_id, step_no)
             where ts.name = 'greet' and s.state = 'enqueued'",
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
    assert_eq!(greetings, [greeting]);
    assert!(knowing.drain().await.is_complete);
    database.pool().close().await;
    world.end([orchestrator, stranger]).await;
}
