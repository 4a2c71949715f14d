//! Steps that lie in a queue.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::processes::{self, Places};
use tasker_shared::steps;
use tasker_shared::why::Cause;
use uuid::Uuid;

use crate::support::processes::{orchestrator, register, unseen_for, worker};
use crate::support::{SINGLE, WORKER, World, given_back};
use crate::{HANDLER, assert_why, served};

/// A task whose only step is enqueued, where no worker is registered.
async fn enqueued() -> (World, TaskUuid) {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &orchestrator("o", &[])).await;
    let task = world.submit("single").await;
    world.claim().await;
    (world, task)
}

#[tokio::test]
async fn an_enqueued_step_where_no_worker_ever_was() {
    let (mut world, task) = enqueued().await;
    register(&mut world, &worker("elsewhere", &["depot"], &[HANDLER])).await;

    let says = "no worker serves the namespace test";
    let reason = assert_why(&mut world, task, Cause::NoWorker, says).await;
    assert_eq!(reason.detail, says);
    assert_eq!(reason.evidence["handler"], HANDLER);
}

#[tokio::test]
async fn an_enqueued_step_whose_worker_was_lost() {
    let (mut world, task) = enqueued().await;
    let process = register(&mut world, &worker("w-1", &[], &[HANDLER])).await;
    unseen_for(&mut world, process, 50).await;

    let says = "w-1 was last seen 50 s ago";
    assert_why(&mut world, task, Cause::NoWorker, says).await;
}

#[tokio::test]
async fn an_enqueued_step_whose_handler_no_worker_there_knows() {
    let (mut world, task) = enqueued().await;
    register(&mut world, &worker("w", &["test"], &["shop.pay"])).await;

    let says = "the only live worker of the namespace test does not know the handler builtin.noop";
    let reason = assert_why(&mut world, task, Cause::UnknownHandler, says).await;
    assert_eq!(
        reason.evidence["workers"],
        json!([{ "identity": "w", "handlers": ["shop.pay"], "places": 10, "taken": 3 }])
    );
}

#[tokio::test]
async fn an_enqueued_step_whose_workers_shut_down() {
    let (mut world, task) = enqueued().await;
    let process = register(&mut world, &worker("w", &["test"], &[HANDLER])).await;
    takes(&mut world, process, 0, 2).await;

    let says = "every worker that knows the handler builtin.noop is shutting down";
    assert_why(&mut world, task, Cause::WorkersDrain, says).await;
}

#[tokio::test]
async fn an_enqueued_step_whose_workers_are_busy_with_others() {
    let mut world = served().await;
    world
        .run("delete from tasker.processes where role = 'worker'")
        .await;
    let process = register(&mut world, &worker("worker-1", &["test"], &[HANDLER])).await;
    register(&mut world, &worker("other", &["test"], &["shop.pay"])).await;
    let elsewhere = world.submit("single").await;
    world.start_one().await;
    world
        .run(format!(
            "update tasker.steps set worker = 'gone' where task_uuid = '{elsewhere}'"
        ))
        .await;
    let busy = world.submit("single").await;
    world.start_one().await;
    takes(&mut world, process, 1, 1).await;
    let task = world.submit("single").await;
    world.claim().await;

    let says = "every worker that knows the handler builtin.noop is busy: 1 of 1 places are taken";
    let reason = assert_why(&mut world, task, Cause::NoFreePlace, says).await;
    let running = &reason.evidence["running"];
    assert_eq!(running.as_array().unwrap().len(), 1, "{running}");
    assert_eq!(running[0]["task_uuid"], json!(busy));
    assert_eq!(running[0]["step_name"], "only");
    let workers = &reason.evidence["workers"];
    assert_eq!(workers.as_array().unwrap().len(), 1, "{workers}");
}

#[tokio::test]
async fn a_place_free_at_another_worker_is_a_place() {
    let (mut world, task) = enqueued().await;
    let busy = register(&mut world, &worker("busy", &["test"], &[HANDLER])).await;
    takes(&mut world, busy, 1, 1).await;
    register(&mut world, &worker("free", &[], &[HANDLER])).await;

    assert_why(&mut world, task, Cause::WaitsToBeReceived, "0 steps").await;
}

#[tokio::test]
async fn an_enqueued_step_behind_more_urgent_and_older_ones() {
    let mut world = served().await;
    world.submit("single").await;
    let task = world.submit("single").await;
    world.submit("single").await;
    world.submit_with("single", |task| task.priority = 7).await;
    world.claim().await;

    let says = "2 steps of its handler are ahead of it";
    let reason = assert_why(&mut world, task, Cause::WaitsToBeReceived, says).await;
    assert_eq!(reason.evidence["ahead"], 2);
}

#[tokio::test]
async fn steps_that_run_and_those_of_other_handlers_are_not_ahead() {
    let mut world = served().await;
    for priority in [7, 0] {
        world
            .submit_with("single", |task| task.priority = priority)
            .await;
        world.start_one().await;
    }
    world
        .apply(json!({
            "namespace": "test", "name": "other", "version": "1.0.0",
            "steps": [{"name": "only", "handler": "builtin.echo"}],
        }))
        .await;
    world.submit("other").await;
    world.submit_with("other", |task| task.priority = 7).await;
    let task = world.submit("single").await;
    world.claim().await;

    let says = "0 steps of its handler are ahead of it";
    assert_why(&mut world, task, Cause::WaitsToBeReceived, says).await;
}

#[tokio::test]
async fn an_enqueued_step_whose_message_is_gone() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    world.run("delete from pgmq.q_worker_test_queue").await;

    let says = "which stands for it, is not in the queue worker_test_queue";
    assert_why(&mut world, task, Cause::MessageLost, says).await;
}

#[tokio::test]
async fn an_enqueued_step_whose_message_is_held_back() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    world
        .run("update pgmq.q_worker_test_queue set vt = clock_timestamp() + interval '60 s'")
        .await;

    assert_why(&mut world, task, Cause::MessageDelayed, "held back").await;
}

#[tokio::test]
async fn an_enqueued_step_whose_queue_lost_its_index_whether_there_are_workers_or_not() {
    let (mut world, task) = enqueued().await;
    world
        .run(
            "do $$ begin execute (
               select format('drop index %s', i.indexrelid::regclass) from pg_index i
               where i.indrelid = 'pgmq.q_worker_test_queue'::regclass and i.indexprs is not null
             ); end $$",
        )
        .await;

    assert_why(
        &mut world,
        task,
        Cause::QueueDamaged,
        "its index by handler",
    )
    .await;
}

#[tokio::test]
async fn an_enqueued_step_whose_queue_could_not_be_refilled() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    world
        .apply(json!({
            "namespace": "elsewhere", "name": "single", "version": "1.0.0",
            "steps": [{"name": "only", "handler": HANDLER}],
        }))
        .await;
    world
        .run("insert into tasker.queues_to_refill values ('elsewhere', clock_timestamp())")
        .await;
    assert_why(&mut world, task, Cause::WaitsToBeReceived, "0 steps").await;
    world
        .run("insert into tasker.queues_to_refill values ('test', clock_timestamp())")
        .await;

    let says = "lost its messages in a crash";
    assert_why(&mut world, task, Cause::QueueNotRefilled, says).await;
}

#[tokio::test]
async fn a_step_that_was_given_back_waits_like_others() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    let released = [given_back(&step)];
    steps::release_steps(&mut world.connection, WORKER, &released)
        .await
        .unwrap();

    assert_why(&mut world, task, Cause::WaitsToBeReceived, "0 steps").await;
}

/// Lets a worker tell that it offers so many places, and how many are taken.
async fn takes(world: &mut World, process: Uuid, offered: usize, taken: usize) {
    let places = Places { offered, taken };
    processes::seen(&mut world.connection, process, Some(places))
        .await
        .unwrap();
}
