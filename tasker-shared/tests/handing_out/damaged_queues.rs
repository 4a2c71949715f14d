//! A queue that is missing, damaged, locked or not ours to use is the trouble of its own namespace.

mod damage;
mod elsewhere;
mod operators;
mod repair;

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::queues::Guard;
use tasker_shared::readiness::{self, Claimed};
use tasker_shared::steps::{self, Demand, ReceivedStep};

use crate::support::{LEASE, WORKER, World, complete};
use crate::{OTHER, receive};

/// Two namespaces with templates `single` and `linear`.
async fn world() -> World {
    let mut world = World::new().await;
    for namespace in ["test", OTHER] {
        for (name, steps) in [
            ("single", json!([{ "name": "only", "handler": "a" }])),
            (
                "linear",
                json!([
                    { "name": "first", "handler": "a" },
                    { "name": "second", "handler": "a", "depends_on": ["first"] },
                ]),
            ),
        ] {
            world
                .apply(json!({
                    "namespace": namespace, "name": name, "version": "1.0.0", "steps": steps,
                }))
                .await;
        }
    }
    world
}

async fn submit(world: &mut World, name: &str, count: usize) -> [Vec<TaskUuid>; 2] {
    [
        world.submit_to(OTHER, name, count).await,
        world.submit_to("test", name, count).await,
    ]
}

async fn claim(world: &mut World, guard: Guard) -> Claimed {
    readiness::claim_ready_tasks_of(&mut world.connection, "o", 1000, &[], guard)
        .await
        .unwrap()
}

/// Receives from both namespaces, the damaged one first.
async fn receive_both(world: &mut World, limit: i32, guard: Guard) -> steps::Received {
    let namespaces = [OTHER, "test"].map(str::to_owned);
    let handlers = ["a".to_owned()];
    let demand = Demand {
        handlers: Some(&handlers),
        guard,
        ..Demand::of_any(&namespaces, limit, LEASE)
    };
    receive(&mut world.connection, WORKER, &demand).await
}

/// `count` running steps of each namespace, the damaged one first.
async fn running(world: &mut World, name: &str, count: usize) -> Vec<ReceivedStep> {
    submit(world, name, count).await;
    world.claim().await;
    let received = receive_both(world, 100, Guard::AfterFailure).await.steps;
    assert_eq!(received.len(), 2 * count);
    received
}

async fn run_to_the_end(world: &mut World) {
    loop {
        assert_eq!(claim(world, Guard::AfterFailure).await.troubled, []);
        world
            .run(
                "update pgmq.q_worker_test_queue set vt = clock_timestamp();
                 update pgmq.q_worker_other_queue set vt = clock_timestamp()",
            )
            .await;
        let received = receive_both(world, 1000, Guard::AfterFailure).await;
        assert_eq!(received.troubled, []);
        if received.steps.is_empty() {
            break;
        }
        let reports: Vec<_> = received.steps.iter().map(complete).collect();
        world.report(&reports).await;
    }
    let open: i64 = world
        .value("select count(*) from tasker.tasks where state not in ('complete', 'cancelled')")
        .await;
    assert_eq!(open, 0);
    world.assert_healthy().await;
}
