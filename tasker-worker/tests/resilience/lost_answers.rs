//! Sessions that end, with an answer or between two calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use sqlx::postgres::PgListener;
use tasker_shared::database::Database;
use tasker_shared::state::TaskState;
use tasker_testing::{FaultProxy, PATIENCE, TestDatabase, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};

use crate::world::{Gate, World};
use crate::{GATE, wait_until_healthy};

/// Ends the sessions whose latest statement contains this; returns once they are gone.
async fn terminate(world: &World, statement: &'static str) {
    wait_until("the session is gone", PATIENCE, async || {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
               and query like '%' || $1 || '%'",
        )
        .bind(statement)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        ended == 0
    })
    .await;
}

#[tokio::test]
async fn what_an_outcome_brought_about_is_announced_although_the_answer_was_lost() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = proxy.url().to_owned();
    let mut world = World::at(db, &url).await.with_lease(3600.0);
    world.config.worker.reporters = 1;
    world.config.database.call_timeout_ms = 1000;
    world.database = Database::connect(&world.config.database).await.unwrap();
    world.template("one", GATE).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    // The reporter has its connection: it is about to be told of one more.
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
    wait_until("the outcome is recorded", PATIENCE, async || {
        world.task(task).await.summary.state == TaskState::Complete
    })
    .await;
    proxy.resume();
    proxy.reset();

    let told = tokio::time::timeout(PATIENCE, async {
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
async fn a_worker_whose_sessions_were_ended_goes_on_within_a_moment() {
    let world = World::create().await.with_lease(3600.0);
    let runs = Arc::new(AtomicUsize::new(0));
    let handlers = {
        let runs = Arc::clone(&runs);
        Handlers::new().register("count", move |_: Step| {
            runs.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, HandlerError>(()) }
        })
    };
    world
        .template("one", "  - { name: only, handler: count }")
        .await;
    let worker = world.start(handlers);
    for round in 1..=3 {
        let task = world.submit("one", json!({})).await;
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].attempts, 1);
        assert_eq!(runs.load(Ordering::Relaxed), round);
        terminate(&world, "complete_steps").await;
    }
    wait_until_healthy(&worker).await;
    worker.drain().await;
    world.assert_sound().await;
}
