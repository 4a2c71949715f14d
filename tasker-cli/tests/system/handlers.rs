//! Steps whose handler not every worker knows.

use serde::Deserialize;
use serde_json::{Value, json};
use tasker_worker::{HandlerError, Handlers, Step};

use super::own_workers::OwnWorker;
use super::templates::{DIAMOND, LINEAR};
use super::world::World;

/// A step that only a user's own program can run, between two that every worker can.
const GREETING: &str = "\
namespace: graphs
name: greeting
version: 1.0.0
steps:
  - { name: name, handler: builtin.echo, input: { who: world } }
  - { name: greet, handler: custom.greet, depends_on: [name] }
  - { name: end, handler: builtin.noop, depends_on: [greet] }
";

/// Handlers of which each worker of a fleet knows half, or all.
const HALVES: [[&str; 2]; 2] = [["a.one", "a.two"], ["b.one", "b.two"]];
/// Tasks of each template that a fleet runs.
const TASKS_OF_EACH: usize = 500;

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

    let handlers = Handlers::new().register("custom.greet", greet);
    let knowing = OwnWorker::start(&world, "knowing", handlers).await;

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
    knowing.stop().await;
    world.end([orchestrator, stranger]).await;
}

async fn nothing(_: Step) -> Result<(), HandlerError> {
    Ok(())
}

fn handlers(names: &[&'static str]) -> Handlers {
    let add = |handlers: Handlers, name: &&'static str| handlers.register(*name, nothing);
    names.iter().fold(Handlers::new(), add)
}

/// The graph with the four handlers in the place of the built-in one, each in one of its four steps.
fn of_four_handlers(template: &str) -> String {
    let names = ["a.one", "b.one", "a.two", "b.two"];
    names.iter().fold(template.to_owned(), |template, name| {
        template.replacen("builtin.noop", name, 1)
    })
}

/// Runs tasks in a fleet of two workers that know these handlers.
async fn run_in_fleet(known: [&[&'static str]; 2]) {
    let world = World::start_alone().await;
    for template in [LINEAR, DIAMOND] {
        world.apply(&of_four_handlers(template)).await;
    }
    let orchestrator = world.orchestrator(&[]).await;
    let fleet = [
        OwnWorker::start(&world, "first", handlers(known[0])).await,
        OwnWorker::start(&world, "second", handlers(known[1])).await,
    ];

    for name in ["linear", "diamond"] {
        world.submit(name, TASKS_OF_EACH).await;
    }
    world.wait_for_the_end().await;

    world.assert_complete(2 * TASKS_OF_EACH).await;
    let again = "select count(*) from tasker.steps where attempt <> 1";
    assert_eq!(world.value::<i64>(again).await, 0);
    let ran: Vec<String> = world
        .values(
            "select distinct s.worker || ' ' || ts.handler
             from tasker.steps s join tasker.template_steps ts using (template_id, step_no)",
        )
        .await;
    for (worker, known) in ["first", "second"].into_iter().zip(known) {
        let by_it = ran.iter().filter_map(|ran| ran.strip_prefix(worker));
        let by_it: Vec<_> = by_it.map(str::trim).collect();
        assert!(!by_it.is_empty(), "{worker} did nothing");
        assert!(
            by_it.iter().all(|handler| known.contains(handler)),
            "{by_it:?}"
        );
    }
    for worker in fleet {
        worker.stop().await;
    }
    world.end([orchestrator]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_in_which_each_worker_knows_half_of_the_handlers_runs_each_step_once() {
    run_in_fleet([&HALVES[0], &HALVES[1]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_in_which_each_worker_knows_all_handlers_runs_each_step_once() {
    let all = HALVES.concat();
    run_in_fleet([&all, &all]).await;
}
