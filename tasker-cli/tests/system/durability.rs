//! What was acknowledged survives: the server is killed in the very moment in which a client was
//! told of it.

use std::collections::HashSet;

use tasker_testing::Durability;
use uuid::Uuid;

use super::clients::Api;
use super::templates::LINEAR;
use super::world::{SHORT_LEASE, World};

const ROUNDS: usize = 3;

/// A server that writes what was committed asynchronously as late as it may, so that whatever is not
/// durable when it is acknowledged is lost with it.
async fn forgetful_world() -> World {
    let world = World::with_server(Durability::Production).await;
    world.run("alter system set wal_writer_delay = '10s'").await;
    world.server().restart().await;
    world
}

async fn crash(world: &World) {
    world.server().kill().await;
    world.server().restart().await;
}

#[tokio::test]
async fn a_submit_or_an_outcome_survives_a_crash_at_the_moment_of_its_acknowledgement() {
    let world = forgetful_world().await;
    world.apply(LINEAR).await;
    let environment = [SHORT_LEASE];
    let orchestrator = world.orchestrator(&environment).await;
    let worker = world.worker(&environment).await;
    let api = Api::at(&orchestrator.address);
    let mut tasks = HashSet::new();

    for _ in 0..ROUNDS {
        let task = api.submit("linear").await;
        crash(&world).await;
        let present: Vec<Uuid> = world.values("select task_uuid from tasker.tasks").await;
        tasks.insert(task);
        assert_eq!(HashSet::from_iter(present), tasks, "a submit was lost");

        let ended = api.wait_for_end(task).await;
        crash(&world).await;
        let outcomes: Vec<String> = world
            .values(&format!(
                "select format('%s at attempt %s: %s', ts.name, s.attempt, s.result)
                 from tasker.steps s join tasker.template_steps ts using (template_id, step_no)
                 where s.task_uuid = '{task}' and s.state = 'complete' order by s.step_no"
            ))
            .await;
        let told = ended["steps"].as_array().unwrap().iter().map(|step| {
            let (name, attempts) = (step["name"].as_str().unwrap(), &step["attempts"]);
            format!("{name} at attempt {attempts}: {}", step["result"])
        });
        assert_eq!(outcomes, told.collect::<Vec<_>>(), "an outcome was lost");
    }

    world.wait_for_the_end().await;
    world.assert_complete(ROUNDS).await;
    world.end([orchestrator, worker]).await;
}
