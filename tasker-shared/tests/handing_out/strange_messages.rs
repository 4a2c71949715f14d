//! Messages that another program sent to a queue of ours.

use crate::support::{WORKER, World, complete};

const UUID: &str = "018f0000-0000-7000-8000-000000000000";

/// Messages of a handler that workers ask for, which stand for no step of ours.
fn of_a_known_handler() -> Vec<String> {
    [
        r#""task_uuid": "x", "step_no": 1"#.to_owned(),
        format!(r#""task_uuid": "{UUID}", "step_no": 1.5"#),
        format!(r#""task_uuid": "{UUID}", "step_no": 1000000000000"#),
        format!(r#""task_uuid": "{UUID}", "step_no": "first""#),
        format!(r#""task_uuid": "{UUID}", "step_no": [1]"#),
        r#""task_uuid": "x", "step_no": 1, "priority": "high""#.to_owned(),
        r#""task_uuid": "x", "step_no": 1, "priority": [30000]"#.to_owned(),
    ]
    .map(|fields| format!(r#"{{"handler": "a", {fields}}}"#))
    .to_vec()
}

/// Messages that no worker asks for.
fn of_no_handler() -> Vec<String> {
    [
        r#"{"task_uuid": "x"}"#,
        r#""text""#,
        "[1, 2]",
        "17",
        "null",
        r#"{"handler": null}"#,
    ]
    .map(str::to_owned)
    .to_vec()
}

async fn send(world: &mut World, message: &str) {
    world
        .run(format!(
            "select pgmq.send('worker_test_queue', '{message}'::jsonb)"
        ))
        .await;
}

async fn counts(world: &mut World) -> (i64, i64) {
    let queued = world.value("select count(*) from pgmq.q_worker_test_queue");
    let queued = queued.await;
    let archived = world.value("select count(*) from pgmq.a_worker_test_queue");
    (queued, archived.await)
}

/// Receives and completes what `enqueue` put into the queue, nothing less.
async fn run(world: &mut World, expected: usize) {
    let received = world.receive_for(WORKER, &["a"], 10).await;
    assert_eq!(received.len(), expected);
    let reports: Vec<_> = received.iter().map(complete).collect();
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
}

#[tokio::test]
async fn a_strange_message_of_a_known_handler_is_archived_and_holds_nobody_up() {
    for message in of_a_known_handler() {
        let mut world = World::with_handlers(&["a"]).await;
        world.enqueue("a", 0, 1).await;
        send(&mut world, &message).await;
        world.enqueue("a", 0, 1).await;

        run(&mut world, 2).await;

        assert_eq!(counts(&mut world).await, (0, 1), "{message}");
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn strange_messages_are_archived_all_at_once_and_counted() {
    let mut world = World::with_handlers(&["a"]).await;
    world.enqueue("a", 0, 2).await;
    let strange = [of_a_known_handler(), of_no_handler()].concat();
    for message in &strange {
        send(&mut world, message).await;
    }
    world.enqueue("a", 0, 2).await;

    let archived = world.tend_queues().await;

    assert_eq!(usize::try_from(archived).unwrap(), strange.len());
    assert_eq!(counts(&mut world).await, (4, i64::from(archived)));
    assert_eq!(world.tend_queues().await, 0);
    world.assert_healthy().await;
    run(&mut world, 4).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn messages_of_no_handler_hold_nobody_up_and_are_archived_in_time() {
    for message in of_no_handler() {
        let mut world = World::with_handlers(&["a"]).await;
        send(&mut world, &message).await;
        world.enqueue("a", 0, 1).await;

        run(&mut world, 1).await;
        assert_eq!(counts(&mut world).await, (1, 0), "{message}");

        assert_eq!(world.tend_queues().await, 1);
        assert_eq!(counts(&mut world).await, (0, 1), "{message}");
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_strange_message_of_a_handler_that_nobody_knows_is_archived_too() {
    for message in [
        r#"{"handler": "nobody", "task_uuid": "x", "step_no": 1}"#,
        r#"{"handler": 5, "task_uuid": "x"}"#,
        r#"{"handler": ""}"#,
    ] {
        let mut world = World::with_handlers(&["a"]).await;
        send(&mut world, message).await;
        world.enqueue("a", 0, 1).await;
        run(&mut world, 1).await;

        assert_eq!(world.tend_queues().await, 1, "{message}");

        assert_eq!(counts(&mut world).await, (0, 1), "{message}");
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_message_of_a_task_that_is_unknown_is_void_whatever_its_priority() {
    for priority in ["7", "\"high\"", "true", "[]", "null", "1e400", "-1.5"] {
        let mut world = World::with_handlers(&["a"]).await;
        world.enqueue("a", 0, 1).await;
        send(
            &mut world,
            &format!(
                r#"{{"task_uuid": "{UUID}", "step_no": 1, "handler": "a", "priority": {priority}}}"#
            ),
        )
        .await;
        world.enqueue("a", 3, 1).await;

        run(&mut world, 2).await;

        assert_eq!(counts(&mut world).await, (0, 0), "{priority}");
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_strange_priority_stops_no_chain() {
    for priority in ["\"high\"", "true", "1e400"] {
        let mut world = World::with_handlers(&["a", "b"]).await;
        world.template("linear", crate::LINEAR).await;
        world.enqueue("b", 1, 1).await;
        world.enqueue("linear", 0, 1).await;
        let first = world
            .receive_for(WORKER, &["builtin.noop"], 1)
            .await
            .remove(0);
        send(
            &mut world,
            &format!(
                r#"{{"task_uuid": "{UUID}", "step_no": 1, "handler": "a", "priority": {priority}}}"#
            ),
        )
        .await;

        let known = &["a", "builtin.noop"];
        let reported = world.continue_as(WORKER, &[complete(&first)], known).await;

        assert_eq!(reported.stale, Vec::<usize>::new(), "{priority}");
    }
}

#[tokio::test]
async fn a_strange_message_that_cannot_be_archived_holds_up_its_own_namespace_alone() {
    let mut world = World::with_handlers(&["a"]).await;
    world.template_of(crate::OTHER, "a", "a").await;
    world.enqueue("a", 0, 1).await;
    world.submit_to(crate::OTHER, "a", 1).await;
    world.claim().await;
    send(&mut world, &of_a_known_handler()[0]).await;
    world.run("drop table pgmq.a_worker_test_queue").await;

    let namespaces = ["test", crate::OTHER].map(str::to_owned);
    let demand = tasker_shared::steps::Demand::of_any(&namespaces, 10, crate::support::LEASE);
    let received = crate::receive(&mut world.connection, WORKER, &demand).await;

    assert_eq!(received.steps.len(), 1);
    assert_eq!(received.troubled.len(), 1);
    assert_eq!(received.troubled[0].0, "test");
    assert_eq!(world.tend_queues().await, 0);
}

#[tokio::test]
async fn a_strange_message_that_another_holds_is_left_for_later() {
    let mut world = World::with_handlers(&["a"]).await;
    send(&mut world, &of_no_handler()[0]).await;
    let mut holder = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue for update")
        .execute(&mut *holder)
        .await
        .unwrap();

    assert_eq!(world.tend_queues().await, 0);
    holder.rollback().await.unwrap();
    assert_eq!(world.tend_queues().await, 1);
}
