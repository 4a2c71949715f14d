//! Sessions that end, with an answer or between two calls.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sqlx::postgres::PgListener;
use tasker_shared::config::DeploymentMode;
use tasker_shared::database::Database;
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, end_sessions, wait_until};

use crate::wait_until_healthy;
use crate::world::{GATE, Gate, World, counted};

#[tokio::test]
async fn what_an_outcome_brought_about_is_announced_although_the_answer_was_lost() {
    let (world, proxy) = World::behind_proxy().await;
    let mut world = world.with_lease(3600.0);
    world.config.worker.reporters = 1;
    world.config.database.call_timeout = Duration::from_secs(1);
    world.database = Database::connect(&world.config.database).await.unwrap();
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    // The reporter has its connection: it is about to get one more outcome.
    let warm_up = world.submit("one", json!({})).await;
    gate.open();
    world.run_to(warm_up, TaskState::Complete).await;
    gate.wait_for_start().await;
    let task = world.submit("one", json!({})).await;
    world.orchestrate().await;
    gate.wait_for_start().await;
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    listener.listen("tasker_task_state").await.unwrap();

    proxy.swallow_answers();
    gate.open();
    wait_until("the outcome is recorded", WAIT_TIMEOUT, async || {
        world.task(task).await.summary.state == TaskState::Complete
    })
    .await;
    proxy.resume();
    proxy.reset();

    let told = tokio::time::timeout(WAIT_TIMEOUT, async {
        loop {
            let told = listener.recv().await.unwrap();
            if told.payload().contains(&task.to_string()) {
                return;
            }
        }
    });
    told.await.expect("the end of the task is announced");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn another_worker_hears_of_what_an_outcome_enqueued_although_the_answer_was_lost() {
    let (world, proxy) = World::behind_proxy().await;
    let mut world = world.with_lease(3600.0).with_continuation(0);
    world = world.with_mode(DeploymentMode::EventDrivenOnly);
    world.config.worker.reporters = 1;
    world.config.database.call_timeout = Duration::from_secs(1);
    world.database = Database::connect(&world.config.database).await.unwrap();
    let pair = format!("{GATE}\n  - {{ name: next, handler: count, depends_on: [only] }}");
    world.template("pair", &pair).await;
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    // The reporter has its connection: it is about to get one more outcome.
    let warm_up = world.submit("one", json!({})).await;
    gate.open();
    world.run_to(warm_up, TaskState::Complete).await;
    gate.wait_for_start().await;
    let task = world.submit("pair", json!({})).await;
    world.orchestrate().await;
    gate.wait_for_start().await;
    // The network of the other is well, and it has looked for work.
    world.config.database.url = world.db.url().into();
    world.database = Database::connect(&world.config.database).await.unwrap();
    let (handlers, runs) = counted();
    let other = world.start_named("other", handlers);
    wait_until_healthy(&other).await;

    proxy.swallow_answers();
    gate.open();
    let enqueued = "select count(*) from tasker.steps where step_no = 2 and msg_id is not null";
    wait_until("the dependent is enqueued", WAIT_TIMEOUT, async || {
        world.count(enqueued).await == 1
    })
    .await;
    proxy.resume();
    proxy.reset();

    world.wait_for_complete(3).await;
    assert_eq!(world.task(task).await.summary.state, TaskState::Complete);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    for worker in [worker, other] {
        worker.drain().await;
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_whose_sessions_were_ended_goes_on_within_a_moment() {
    let world = World::create().await.with_lease(3600.0);
    let (handlers, runs) = counted();
    world
        .template("one", "  - { name: only, handler: count }")
        .await;
    let worker = world.start(handlers);
    for round in 1..=3 {
        let task = world.submit("one", json!({})).await;
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
        assert_eq!(runs.load(Ordering::Relaxed), round);
        end_sessions(&world.pool, "complete_%step").await;
    }
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}
