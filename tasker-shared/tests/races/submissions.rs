//! The same key, and the same version of a template, from two at once.

use std::time::Duration;

use serde_json::json;
use tasker_shared::error::Error;
use tasker_shared::tasks;

use crate::support::{SINGLE, World, new_task};

#[tokio::test]
async fn a_key_that_two_use_at_once_gives_both_the_task_of_the_one_that_commits() {
    for first_commits in [true, false] {
        let mut world = World::new().await;
        world.template("single", SINGLE).await;
        let mut task = new_task("single");
        task.idempotency_key = Some("k".to_owned());
        let mut first = world.begin().await;
        let one = tasks::submit_tasks(&mut first, std::slice::from_ref(&task))
            .await
            .unwrap();

        let two = world
            .start_blocked(async move |mut connection| {
                tasks::submit_tasks(&mut connection, &[task]).await.unwrap()
            })
            .await;
        if first_commits {
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        let two = two.await.unwrap();

        assert_eq!(two[0].created, !first_commits);
        assert_eq!(two[0].task_uuid == one[0].task_uuid, first_commits);
        assert_eq!(world.claim().await.len(), 1);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn whoever_waits_for_a_key_without_patience_is_told_that_it_is_taken_and_may_come_again() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut task = new_task("single");
    task.idempotency_key = Some("k".to_owned());
    let task = [task];
    let mut first = world.begin().await;
    tasks::submit_tasks(&mut first, &task).await.unwrap();

    let patience = Some(Duration::from_millis(1));
    let two = tasks::submit_tasks_silently(&mut world.connection, &task, patience).await;
    let error = two.unwrap_err();
    assert!(
        matches!(error, Error::Locked { .. }) && error.is_transient(),
        "{error}"
    );

    first.commit().await.unwrap();
    let two = tasks::submit_tasks_silently(&mut world.connection, &task, patience).await;
    assert!(!two.unwrap()[0].created);
}

#[tokio::test]
async fn a_version_that_two_apply_at_once_exists_once() {
    let mut world = World::new().await;
    let document = json!({
        "namespace": "new", "name": "t", "version": "1.0.0",
        "steps": [{
            "name": "a", "handler": "h", "depends_on": [], "input": {}, "timeout_ms": 1000,
            "retry": {
                "max_attempts": 1, "backoff": "fixed", "base_ms": 0, "max_ms": 0, "jitter": false
            },
        }],
    });
    let apply = "select created from tasker.apply_template($1)";
    let mut first = world.begin().await;
    let one: bool = sqlx::query_scalar(apply)
        .bind(&document)
        .fetch_one(&mut *first)
        .await
        .unwrap();

    let two = world
        .start_blocked(async move |mut connection| {
            sqlx::query_scalar::<_, bool>(apply)
                .bind(&document)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert!(one);
    assert!(!two.await.unwrap());
}
