//! Tables that are rewritten without their dead rows, again and again, under load.

use std::sync::atomic::{AtomicU32, Ordering};

use super::templates::{DIAMOND, LINEAR, TREE};
use super::world::{NAMESPACE, NO_POLLING, World};

const TASKS_OF_EACH: usize = 1_000;

#[tokio::test]
async fn nothing_is_lost_or_overlooked_where_tables_are_rewritten_all_the_time() {
    let world = World::start_alone().await;
    for template in [LINEAR, DIAMOND, TREE] {
        world.apply(template).await;
    }
    let roles = [
        world.orchestrator(&NO_POLLING).await,
        world.orchestrator(&NO_POLLING).await,
        world.worker(&NO_POLLING).await,
        world.worker(&NO_POLLING).await,
    ];
    let queue = format!("pgmq.q_worker_{NAMESPACE}_queue");
    let tables = ["tasker.ready_steps", "tasker.timers", &queue];
    let written = AtomicU32::new(0);
    let write = async {
        loop {
            for table in tables {
                let write = format!("select tasker.rewrite_table('{table}')");
                if world.value(&write).await {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let work = async {
        for template in ["linear", "diamond", "tree"] {
            world.submit(template, TASKS_OF_EACH).await;
        }
        world.wait_for_the_end().await;
    };

    tokio::select! {
        () = work => {}
        () = write => {}
    }

    assert!(written.into_inner() >= 10);
    world.assert_complete(3 * TASKS_OF_EACH).await;
    world.end(roles).await;
}
