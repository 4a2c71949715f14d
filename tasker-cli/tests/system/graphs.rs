//! A thousand tasks of every shape, submitted at once, run by two orchestrators and two workers.

use std::time::{Duration, Instant};

use super::templates::{DIAMOND, LINEAR, MIXED, TREE, deep, wide};
use super::world::World;

/// Tasks of each template.
const TASKS: usize = 1000;

/// How long 225,000 steps may take on a busy machine, in a debug build.
const MUCH_PATIENCE: Duration = Duration::from_mins(10);

#[tokio::test]
async fn a_thousand_tasks_of_each_graph_complete_step_by_step_and_each_step_once() {
    let world = World::start_alone().await;
    let (wide, deep) = (wide(), deep());
    for template in [LINEAR, DIAMOND, TREE, MIXED, &wide, &deep] {
        world.apply(template).await;
    }
    let roles = [
        world.orchestrator(&[]).await,
        world.orchestrator(&[]).await,
        world.worker(&[]).await,
        world.worker(&[]).await,
    ];
    let names = ["linear", "diamond", "tree", "mixed", "wide", "deep"];
    let started = Instant::now();
    for name in names {
        world.submit(name, TASKS).await;
    }
    let submitted = started.elapsed();
    world.wait_for_the_end_of_much(MUCH_PATIENCE).await;
    let ended = started.elapsed();

    world.assert_complete(TASKS * names.len()).await;
    let repeated: i64 = world
        .value("select count(*) from tasker.steps where attempt <> 1")
        .await;
    assert_eq!(repeated, 0, "steps that were attempted more than once");
    let workers: i64 = world
        .value("select count(distinct worker) from tasker.steps")
        .await;
    assert_eq!(workers, 2, "not both took part");
    let steps: i64 = world.value("select count(*) from tasker.steps").await;
    println!("{steps} steps, submitted after {submitted:?}, ended after {ended:?}");
    world.end(roles).await;
}
