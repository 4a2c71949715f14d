//! Steps whose handler no live worker knows are shown in every list.

use serde_json::json;
use sqlx::PgConnection;
use tasker_shared::ids::TaskUuid;
use tasker_shared::processes::{self, Places, StepsWithoutWorker};
use tasker_shared::queues::{self, MissingHandler, QueueSummary};
use tasker_shared::tasks::{self, TaskFilter, WaitsFor};

use crate::support::World;
use crate::support::processes::{SOME, register, unseen_for, worker};

/// A template of the namespace with a step for each handler, all without dependencies.
async fn template(world: &mut World, namespace: &str, handlers: &[&str]) {
    let steps: Vec<_> = handlers
        .iter()
        .enumerate()
        .map(|(number, handler)| json!({ "name": format!("step_{number}"), "handler": handler }))
        .collect();
    world
        .apply(json!({
            "namespace": namespace, "name": "t", "version": "1.0.0", "steps": steps,
        }))
        .await;
}

async fn submit(world: &mut World, namespace: &str) -> TaskUuid {
    world
        .submit_with("t", |task| task.namespace = namespace.into())
        .await
}

async fn missing(world: &mut World) -> Vec<(String, String, i32)> {
    let found = processes::steps_without_worker(&mut world.connection, &[])
        .await
        .unwrap();
    let flat = |steps: StepsWithoutWorker| (steps.namespace, steps.handler, steps.steps);
    found.into_iter().map(flat).collect()
}

fn owned(namespace: &str, handler: &str, steps: i32) -> (String, String, i32) {
    (namespace.to_owned(), handler.to_owned(), steps)
}

/// Which steps of the task wait for a worker.
async fn waiting_steps(world: &mut World, task: TaskUuid) -> Vec<String> {
    let task = world.task(task).await;
    let waiting = task
        .steps
        .iter()
        .filter(|step| step.waits_for == Some(WaitsFor::WorkerForHandler));
    waiting.map(|step| step.handler.clone()).collect()
}

async fn marked(world: &mut World) -> Vec<TaskUuid> {
    let filter = TaskFilter {
        limit: 100,
        ..TaskFilter::default()
    };
    let listed = tasks::list_tasks(&mut world.connection, &filter)
        .await
        .unwrap();
    let marked = listed
        .iter()
        .filter(|task| task.summary.waits_for.is_some());
    marked.map(|task| task.summary.task_uuid).collect()
}

async fn queue(world: &mut World, namespace: &str) -> QueueSummary {
    let listed = queues::list_queues(&mut world.connection).await.unwrap();
    let mut found = listed
        .into_iter()
        .filter(|queue| queue.namespace == namespace);
    found.next().unwrap()
}

#[tokio::test]
async fn a_step_that_nobody_can_run_is_seen_in_tasks_lists_and_queues() {
    let mut world = World::new().await;
    template(&mut world, "shop", &["known.one", "late.one"]).await;
    register(&mut world, &worker("w", &["shop"], &["known.one"])).await;
    let waits = submit(&mut world, "shop").await;
    world.claim().await;

    assert_eq!(waiting_steps(&mut world, waits).await, ["late.one"]);
    assert_eq!(marked(&mut world).await, [waits]);
    let whole = world.task(waits).await.summary.waits_for;
    assert_eq!(whole, Some(WaitsFor::WorkerForHandler));
    assert_eq!(missing(&mut world).await, [owned("shop", "late.one", 1)]);
    let shop = queue(&mut world, "shop").await;
    assert_eq!((shop.workers, shop.places, shop.taken), (1, 10, 3));
    assert_eq!((shop.length, shop.visible), (Some(2), Some(2)));
    let late = MissingHandler {
        handler: "late.one".to_owned(),
        steps: 1,
    };
    assert_eq!(*shop.without_worker, [late]);
}

#[tokio::test]
async fn a_step_is_run_by_live_workers_of_its_namespace_that_still_take_steps() {
    let mut world = World::new().await;
    template(&mut world, "shop", &["late.one"]).await;
    let waits = submit(&mut world, "shop").await;
    world.claim().await;
    register(&mut world, &worker("elsewhere", &["depot"], &["late.one"])).await;
    assert_eq!(missing(&mut world).await.len(), 1);

    let everywhere = register(&mut world, &worker("w", &[], &["late.one"])).await;
    assert_eq!(missing(&mut world).await, []);
    assert_eq!(waiting_steps(&mut world, waits).await, [""; 0]);
    assert_eq!(marked(&mut world).await, []);
    assert_eq!(*queue(&mut world, "shop").await.without_worker, []);

    unseen_for(&mut world, everywhere, 31).await;
    assert_eq!(missing(&mut world).await.len(), 1);
    assert_eq!(waiting_steps(&mut world, waits).await.len(), 1);
    assert_eq!(queue(&mut world, "shop").await.workers, 0);

    processes::seen(&mut world.connection, everywhere, Some(SOME))
        .await
        .unwrap();
    assert_eq!(missing(&mut world).await, []);

    let drains = Places {
        offered: 0,
        taken: 1,
    };
    processes::seen(&mut world.connection, everywhere, Some(drains))
        .await
        .unwrap();
    assert_eq!(missing(&mut world).await.len(), 1, "it takes no more steps");
}

#[tokio::test]
async fn what_is_in_hand_or_not_enqueued_yet_waits_for_no_worker() {
    let mut world = World::new().await;
    world.template("chain", &[("a", &[]), ("b", &["a"])]).await;
    let runs = world.submit("chain").await;
    world.start_one().await;

    assert_eq!(missing(&mut world).await, []);
    assert_eq!(waiting_steps(&mut world, runs).await, [""; 0]);
    assert_eq!(marked(&mut world).await, []);
}

#[tokio::test]
async fn handlers_are_told_apart_in_every_namespace() {
    let mut world = World::new().await;
    template(&mut world, "depot", &["b.two", "b.two", "A.one"]).await;
    template(&mut world, "shop", &["b.two", "known.one"]).await;
    register(&mut world, &worker("w", &["shop"], &["known.one"])).await;
    for namespace in ["depot", "depot", "shop"] {
        submit(&mut world, namespace).await;
    }
    world.claim().await;

    let all = [
        owned("depot", "A.one", 2),
        owned("depot", "b.two", 4),
        owned("shop", "b.two", 1),
    ];
    assert_eq!(missing(&mut world).await, all);
    let of_shop = ["shop".to_owned()];
    let some = processes::steps_without_worker(&mut world.connection, &of_shop)
        .await
        .unwrap();
    assert_eq!(some.len(), 1);
}

#[tokio::test]
async fn a_queue_that_is_gone_hides_none_of_the_others() {
    let mut world = World::new().await;
    template(&mut world, "broken", &["b.two"]).await;
    template(&mut world, "shop", &["b.two"]).await;
    for namespace in ["broken", "shop"] {
        submit(&mut world, namespace).await;
    }
    world.claim().await;
    world.run("drop table pgmq.q_worker_broken_queue").await;

    assert_eq!(missing(&mut world).await, [owned("shop", "b.two", 1)]);
    let broken = queue(&mut world, "broken").await;
    assert_eq!((broken.length, broken.visible), (None, None));
    assert!(broken.problem.unwrap().contains("does not exist"));
    let shop = queue(&mut world, "shop").await;
    assert_eq!((shop.length, shop.problem), (Some(1), None));
}

#[tokio::test]
async fn a_queue_without_its_index_says_so_and_is_counted_all_the_same() {
    let mut world = World::new().await;
    template(&mut world, "shop", &["b.two"]).await;
    submit(&mut world, "shop").await;
    world.claim().await;
    world
        .run(
            "do $$ begin execute (
               select format('drop index %s', i.indexrelid::regclass) from pg_index i
               where i.indrelid = 'pgmq.q_worker_shop_queue'::regclass and i.indexprs is not null
             ); end $$",
        )
        .await;

    assert_eq!(missing(&mut world).await, []);
    let shop = queue(&mut world, "shop").await;
    assert_eq!((shop.length, shop.visible), (Some(1), Some(1)));
    assert!(shop.problem.unwrap().contains("index by handler"));
}

#[tokio::test]
async fn a_queue_that_is_rewritten_meanwhile_is_not_seen_empty() {
    let mut world = World::new().await;
    template(&mut world, "shop", &["b.two"]).await;
    submit(&mut world, "shop").await;
    world.claim().await;
    let mut writer = world.begin().await;
    sqlx::query("select tasker.rewrite_table('pgmq.q_worker_shop_queue')")
        .execute(&mut *writer)
        .await
        .unwrap();

    let listing = world
        .start_blocked(async |mut connection: PgConnection| {
            queues::list_queues(&mut connection).await.unwrap()
        })
        .await;
    writer.commit().await.unwrap();

    let listed = listing.await.unwrap();
    assert_eq!((listed[0].length, listed[0].visible), (Some(1), Some(1)));
    assert_eq!(listed[0].without_worker.len(), 1);
}

#[tokio::test]
async fn messages_that_are_not_ours_are_counted_and_wait_for_no_handler() {
    let mut world = World::new().await;
    template(&mut world, "shop", &["b.two"]).await;
    for message in ["[]", "7", "{}", r#"{"handler": null}"#, r#"{"handler": 7}"#] {
        world
            .run(format!(
                "select pgmq.send('worker_shop_queue', '{message}'::jsonb)"
            ))
            .await;
    }

    assert_eq!(missing(&mut world).await, [owned("shop", "7", 1)]);
    assert_eq!(queue(&mut world, "shop").await.length, Some(5));
}
