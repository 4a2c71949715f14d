//! Leases: kept while handlers run, lost and found again, and outcomes that come too late.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tasker_shared::operator::Action;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};
use world::{GATE, Gate, World, counted};

#[tokio::test]
async fn a_running_handler_is_told_that_its_task_was_cancelled_and_its_result_is_kept() {
    let world = World::create().await.with_lease(3600.0);
    let (task, _gate, worker) = world.start_gated().await;

    let mut connection = world.pool.acquire().await.unwrap();
    Action::CancelTask
        .carry_out(&mut connection, task, "test", Some("changed my mind"))
        .await
        .unwrap();

    // No heartbeat is due for twenty minutes: the announcement alone makes the worker look.
    let step = world.run_step_to(task, StepState::Complete).await;
    assert_eq!(step.result, Some(json!("told")));
    assert_eq!(world.task(task).await.summary.state, TaskState::Cancelled);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_that_outlives_its_lease_keeps_it_by_heartbeats() {
    let world = World::create().await.with_lease(1.0);
    let (task, gate, worker) = world.start_gated().await;

    world.wait_for_extension().await;

    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_that_blocks_the_runtime_keeps_its_lease() {
    let world = World::create().await.with_lease(1.0);
    world
        .template("one", "  - { name: only, handler: blocks }")
        .await;
    let task = world.submit("one", json!({})).await;
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = Arc::new(Mutex::new(wait));
    let handlers = Handlers::new().register("blocks", move |_: Step| {
        let wait = Arc::clone(&wait);
        async move { Ok::<_, HandlerError>(wait.lock().unwrap().recv()?) }
    });
    // The worker's runtime has one thread, which the handler blocks.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let worker = {
        let _inside = runtime.enter();
        world.start(handlers)
    };
    world.run_attempt(task, 1).await;

    world.wait_for_extension().await;

    go.send(()).unwrap();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 1);
    runtime.spawn(worker.drain()).await.unwrap();
    runtime.shutdown_background();
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_whose_worker_died_is_tried_again_by_another() {
    let mut world = World::create().await.with_lease(3600.0);
    // With its one place taken, the dying worker does not receive its own message again.
    world.config.worker.concurrency = 1;
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let (lost, found) = (Gate::new(), Gate::new());
    let dying = world.start_named("dying", lost.handlers());
    world.orchestrate().await;
    lost.wait_for_start().await;
    dying.abort();

    world.expire_leases().await;
    let heir = world.start_named("heir", found.handlers());
    found.open();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].result, Some(json!(2)));
    assert_eq!(detail.steps[0].worker.as_deref(), Some("heir"));
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_that_comes_too_late_changes_nothing() {
    let mut world = World::create().await.with_lease(3600.0);
    // With its one place taken, the slow worker does not receive its own message again.
    world.config.worker.concurrency = 1;
    world.template("one", GATE).await;
    let task = world.submit("one", json!({})).await;
    let (late, current) = (Gate::new(), Gate::new());
    let slow = world.start_named("slow", late.handlers());
    world.orchestrate().await;
    late.wait_for_start().await;
    world.expire_leases().await;
    let heir = world.start_named("heir", current.handlers());
    world.run_attempt(task, 2).await;
    current.wait_for_start().await;

    late.open();
    assert!(slow.drain().await.is_complete, "its outcome was reported");

    let step = world.task(task).await.steps.remove(0);
    assert_eq!((step.attempts, step.state), (2, StepState::InProgress));
    current.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].result, Some(json!(2)));
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_whose_attempt_is_over_is_ended() {
    let mut world = World::create().await.with_lease(1.0);
    world.config.worker.concurrency = 1;
    let (task, gate, worker) = world.start_gated().await;

    // Somebody else fails the attempt meanwhile.
    sqlx::query(
        "select tasker.complete_steps('other', array[task_uuid], array[step_no], array[attempt], \
         array[msg_id], array['shop'], array['retry'], array['{}'::jsonb], array[0::bigint]) \
         from tasker.steps",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    // The worker has one place: the second attempt starts only because the first was ended.
    world.run_attempt(task, 2).await;
    gate.wait_for_start().await;
    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].result, Some(json!(2)));
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_that_finds_its_own_lost_lease_goes_on_with_the_same_attempt() {
    let world = World::create().await.with_lease(3600.0);
    let (task, gate, worker) = world.start_gated().await;

    world.expire_leases().await;
    wait_until("the message was received again", WAIT_TIMEOUT, async || {
        let reads = "select read_ct::bigint from pgmq.q_worker_shop_queue";
        world.count(reads).await == 2
    })
    .await;

    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].result, Some(json!(1)));
    assert_eq!(gate.started.available_permits(), 0, "it started once");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_never_run_the_same_attempt() {
    const TASKS: usize = 200;
    let world = World::create().await;
    world
        .template(
            "two",
            "  - { name: a, handler: count }\n  - { name: b, handler: count, depends_on: [a] }",
        )
        .await;
    let (handlers, runs) = counted();
    let workers = ["one", "two"].map(|name| world.start_named(name, handlers.clone()));
    sqlx::query(
        "select tasker.submit_tasks((select jsonb_agg(jsonb_build_object( \
         'namespace', 'shop', 'name', 'two')) from generate_series(1, $1)))",
    )
    .bind(i32::try_from(TASKS).unwrap())
    .execute(&world.pool)
    .await
    .unwrap();

    wait_until("all tasks are complete", WAIT_TIMEOUT, async || {
        world.orchestrate().await;
        let left = "select count(*) from tasker.tasks where state <> 'complete'";
        world.count(left).await == 0
    })
    .await;

    assert_eq!(runs.load(Ordering::Relaxed), 2 * TASKS);
    for worker in workers {
        worker.drain().await;
    }
    world.assert_sound().await;
}
