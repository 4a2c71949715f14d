//! Steps whose results are larger together than what a worker is given at a time.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::fmt::Write;

use serde_json::json;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};
use world::World;

/// Steps that each have a text of [`LENGTH`] as result.
const PARENTS: usize = 300;
const LENGTH: usize = 1_000_000;

const COMPLETE: &str = "select count(*) from tasker.tasks where state = 'complete'";

fn parent(number: usize) -> String {
    format!("part_{number}")
}

/// A task in which one step joins all others, which have their results already: made by hand, as
/// that is faster than by handlers.
async fn submit_join(world: &World, dependency_results: &str) {
    let names = (0..PARENTS).map(parent).collect::<Vec<_>>();
    let mut steps = format!(
        "  - {{ name: join, handler: join, depends_on: [{}], dependency_results: \
         {dependency_results} }}",
        names.join(", ")
    );
    for name in names {
        write!(steps, "\n  - {{ name: {name}, handler: part }}").unwrap();
    }
    world.template("large", &steps).await;
    world.submit("large", json!({})).await;
    let settle = "select tasker.settle_step(t.task_uuid, ts.name, 'resolved_manually', \
         to_jsonb(repeat('x', $1)), 'test') \
         from tasker.tasks t join tasker.template_steps ts using (template_id) \
         where ts.handler = 'part'";
    sqlx::query(settle)
        .bind(i32::try_from(LENGTH).unwrap())
        .execute(&world.pool)
        .await
        .unwrap();
}

fn handlers() -> Handlers {
    Handlers::new()
        .register("part", async |_: Step| Ok::<_, HandlerError>(()))
        .register("join", async |step: Step| {
            let mut length = 0;
            for number in 0..PARENTS {
                let part: String = step.fetch_dependency(&parent(number)).await?;
                length += part.len();
            }
            Ok::<_, HandlerError>(length)
        })
}

async fn run_until(world: &World, query: &'static str, expected: i64) {
    wait_until(query, WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        world.count(query).await == expected
    })
    .await;
}

#[tokio::test]
async fn a_join_of_300_mb_reads_them_one_by_one() {
    let world = World::create().await;
    submit_join(&world, "on_request").await;
    let worker = world.start(handlers());

    run_until(&world, COMPLETE, 1).await;

    let length = "select (result #>> '{}')::bigint from tasker.steps where step_no = 1";
    let expected = i64::try_from(PARENTS * LENGTH).unwrap();
    assert_eq!(world.count(length).await, expected);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_join_of_300_mb_that_would_be_given_them_fails_alone() {
    let world = World::create().await;
    submit_join(&world, "inline").await;
    world
        .template("small", "  - { name: only, handler: part }")
        .await;
    // Behind the join in the queue.
    for _ in 0..5 {
        world.submit("small", json!({})).await;
    }
    let worker = world.start(handlers());

    run_until(&world, COMPLETE, 5).await;

    let too_large = "select count(*) from tasker.steps where step_no = 1 and state = 'error' \
         and error ->> 'kind' = 'input_too_large' and error ->> 'message' ~ 'on_request'";
    run_until(&world, too_large, 1).await;
    worker.drain().await;
    world.assert_sound().await;
}
