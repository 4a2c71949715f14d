//! What lies in queues, what is ready, what has ended.

use std::time::Duration;

use serde_json::json;
use sqlx::PgConnection;
use tasker_shared::queues::{self, QueueSummary};
use tasker_shared::readiness;
use tasker_shared::steps;
use tasker_shared::tasks;

use crate::support::{LEASE, SINGLE, WORKER, World};
use crate::with_tasks_of_every_sort;

#[tokio::test]
async fn queues_tell_what_lies_in_them() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    world
        .apply(json!({
            "namespace": "idle", "name": "t", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    for _ in 0..3 {
        world.submit("t").await;
    }
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let connection = &mut world.connection;
    let demand = steps::Demand::of_any(&namespaces, 2, LEASE);
    let received = steps::receive_steps(connection, WORKER, &demand)
        .await
        .unwrap();
    assert_eq!(received.steps.len(), 2);

    let listed = queues::list_queues(connection).await.unwrap();
    let names = queues::list_namespaces(connection).await.unwrap();

    assert_eq!(names, ["idle", "test"]);
    let told = listed.iter().map(|queue| {
        let QueueSummary {
            namespace,
            queue_name,
            length,
            visible,
            problem,
            ..
        } = queue;
        (
            namespace.as_str(),
            queue_name.as_str(),
            *length,
            *visible,
            problem.as_deref(),
        )
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("idle", "worker_idle_queue", Some(0), Some(0), None),
            ("test", "worker_test_queue", Some(3), Some(1), None),
        ]
    );
    assert_eq!(listed[0].oldest_message_age_seconds, None);
    assert!(listed[1].oldest_message_age_seconds.unwrap() >= 0.0);
}

#[tokio::test]
async fn tasks_that_ended_are_told_from_those_that_run() {
    let mut world = World::new().await;
    let all = with_tasks_of_every_sort(&mut world).await;

    let mut ended = tasks::ended_tasks(&mut world.connection, &all)
        .await
        .unwrap();

    ended.sort_unstable();
    assert_eq!(ended, [all[0], all[1], all[3]]);
    for task in all {
        let terminal = tasks::task_is_terminal(&mut world.connection, task).await;
        assert_eq!(terminal.unwrap(), Some(ended.contains(&task)));
    }
}

#[tokio::test]
async fn ready_tasks_are_found_by_urgency_and_age() {
    let mut world = World::new().await;
    world.template("t", &[("a", &[]), ("b", &[])]).await;
    let low = world.submit("t").await;
    let high = world.submit_with("t", |task| task.priority = 9).await;
    world.advance(Duration::from_secs(10)).await;

    let found = readiness::find_ready_tasks(&mut world.connection, Duration::from_secs(5), 10)
        .await
        .unwrap();
    let older = readiness::find_ready_tasks(&mut world.connection, Duration::from_mins(1), 10)
        .await
        .unwrap();

    let told = found
        .iter()
        .map(|task| (task.task_uuid, task.ready_steps, task.namespace.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(high, 2, "test"), (low, 2, "test")]
    );
    assert!(found.iter().all(|task| task.ready_for_ms >= 9_000.0));
    assert!(older.is_empty());
    let apart: i64 = world
        .value(
            "select count(*) from tasker.tasker_ready_tasks v
             full join tasker.find_ready_tasks(0, 100) f
               using (task_uuid, namespace, priority, ready_steps, ready_since)
             where v.task_uuid is null or f.task_uuid is null",
        )
        .await;
    assert_eq!(apart, 0, "the view is what polling finds");
    let in_view: i64 = world
        .value("select count(*) from tasker.tasker_ready_tasks")
        .await;
    assert_eq!(in_view, 2);
}

#[tokio::test]
async fn ready_tasks_are_found_though_their_table_is_rewritten_meanwhile() {
    for namespaces in [vec![], vec!["test".to_owned()]] {
        let mut world = World::new().await;
        world.template("t", SINGLE).await;
        let task = world.submit("t").await;
        let mut writer = world.begin().await;
        sqlx::query("select tasker.rewrite_table('tasker.ready_steps')")
            .execute(&mut *writer)
            .await
            .unwrap();

        let searched = namespaces.clone();
        let search = world
            .start_blocked(async move |mut connection: PgConnection| {
                readiness::find_ready_tasks_of(&mut connection, Duration::ZERO, 10, &searched)
                    .await
                    .unwrap()
            })
            .await;
        writer.commit().await.unwrap();

        let found: Vec<_> = search.await.unwrap().iter().map(|t| t.task_uuid).collect();
        assert_eq!(found, [task], "{namespaces:?}");
    }
}
