//! The metrics of steps that are handed on. They belong to the process, so this test has one to itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::json;
use tasker_shared::telemetry::render_prometheus;
use tasker_worker::Handlers;
use world::World;

#[tokio::test]
async fn each_step_that_is_handed_on_is_timed() {
    let world = World::create().await.with_continuation(16);
    world
        .template(
            "chain",
            "  - { name: s1, handler: builtin.noop }
  - { name: s2, handler: builtin.noop, depends_on: [s1] }
  - { name: s3, handler: builtin.noop, depends_on: [s2] }
  - { name: beside, handler: builtin.noop, depends_on: [s2] }",
        )
        .await;
    world.submit("chain", json!({})).await;
    let worker = world.start(Handlers::new());

    world.claim().await;
    world.wait_for_complete(4).await;
    worker.drain().await;

    let scraped = render_prometheus();
    // How many start beside another depends on what the worker is about to receive.
    let started = "select count(*) from tasker.step_transitions
        where (from_state, to_state) = ('pending', 'in_progress')";
    let started = world.count(started).await;
    assert!(started >= 2, "{started}");
    let timed = format!("tasker_completion_to_continued_seconds_count {started}");
    assert!(scraped.lines().any(|line| line == timed), "{scraped}");
    world.assert_sound().await;
}
