//! Tasks that are taken, and transactions that are not committed.

use serde_json::json;
use tasker_shared::tasks;

use crate::support::{SINGLE, World, new_task};
use crate::{rows, submit, with};

#[tokio::test]
async fn no_tasks_are_submitted_as_none() {
    let mut world = World::new().await;
    assert_eq!(submit(&mut world, json!([])).await.unwrap(), []);
}

#[tokio::test]
async fn limits_themselves_are_allowed() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let tasks = json!([
        with("priority", json!(32_767)),
        with("priority", json!(-32_768)),
        with("priority", json!(3.0)),
        with("idempotency_key", json!("ä".repeat(255))),
        { "namespace": "test", "name": "t", "version": null, "context": null, "priority": null,
          "idempotency_key": null },
    ]);

    let submitted = submit(&mut world, tasks).await.unwrap();

    assert_eq!(submitted, [1, 2, 3, 4, 5].map(|position| (position, true)));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_submission_that_is_rolled_back_leaves_nothing() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let mut task = new_task("t");
    task.idempotency_key = Some("k".to_owned());
    world.run("begin").await;
    tasks::submit_tasks(&mut world.connection, std::slice::from_ref(&task))
        .await
        .unwrap();

    world.run("rollback").await;

    assert_eq!(rows(&mut world).await, 0);
    assert!(world.claim().await.is_empty());
    let again = tasks::submit_tasks(&mut world.connection, &[task])
        .await
        .unwrap();
    assert!(again[0].created, "the key is free again");
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_tasks() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let batch = (0..50)
        .map(|number| {
            let mut task = new_task("t");
            task.context = json!({ "number": number });
            task.idempotency_key = Some(format!("{}", number % 40));
            task
        })
        .collect::<Vec<_>>();

    let submitted = tasks::submit_tasks(&mut world.connection, &batch)
        .await
        .unwrap();

    for (number, submitted) in submitted.iter().enumerate() {
        let context = world.task(submitted.task_uuid).await.context;
        assert_eq!(context["number"], number % 40);
        assert_eq!(submitted.created, number < 40);
    }
}

#[tokio::test]
async fn one_task_is_submitted_by_plain_sql_with_what_it_names() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;

    let plain = world.value("select tasker.submit_task('test', 't')").await;
    let named = world
        .value(
            "select tasker.submit_task('test', 't', '{\"order_id\": 1}',
              p_priority => 7, p_idempotency_key => 'k', p_version => '1.0.0')",
        )
        .await;

    let plain = world.task(plain).await;
    assert_eq!((plain.context, plain.summary.priority), (json!({}), 0));
    let named = world.task(named).await;
    assert_eq!(named.context, json!({ "order_id": 1 }));
    assert_eq!(named.summary.priority, 7);
    assert_eq!(named.idempotency_key.as_deref(), Some("k"));
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_same_key_gives_the_first_task_and_keys_belong_to_a_template() {
    let mut world = World::new().await;
    world.template("one", SINGLE).await;
    world.template("two", SINGLE).await;
    let key = Some("k".to_owned());

    let first = world
        .submit_with("one", |task| task.idempotency_key = key.clone())
        .await;
    let again = world
        .submit_with("one", |task| task.idempotency_key = key.clone())
        .await;
    let other = world
        .submit_with("two", |task| task.idempotency_key = key.clone())
        .await;

    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(world.claim().await.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_key_twice_in_one_batch_makes_one_task() {
    let mut world = World::new().await;
    world.template("one", SINGLE).await;
    let mut task = new_task("one");
    task.idempotency_key = Some("k".to_owned());

    let submitted = tasks::submit_tasks(
        &mut world.connection,
        &[task.clone(), new_task("one"), task],
    )
    .await
    .unwrap();

    assert_eq!(submitted[0].task_uuid, submitted[2].task_uuid);
    assert_eq!(
        submitted.iter().map(|s| s.created).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(world.claim().await.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn ten_thousand_tasks_are_submitted_in_one_call() {
    let mut world = World::new().await;
    world.template("linear", SINGLE).await;

    let submitted = tasks::submit_tasks(&mut world.connection, &vec![new_task("linear"); 10_000])
        .await
        .unwrap();

    assert_eq!(submitted.len(), 10_000);
    assert!(submitted.iter().all(|submitted| submitted.created));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_batch_with_one_bad_task_submits_none_and_names_it() {
    let mut world = World::new().await;
    world.template("linear", SINGLE).await;

    let refused = tasks::submit_tasks(
        &mut world.connection,
        &[new_task("linear"), new_task("absent")],
    )
    .await
    .unwrap_err();

    assert!(refused.to_string().contains("test/absent"), "{refused}");
    assert!(world.claim().await.is_empty());
}
