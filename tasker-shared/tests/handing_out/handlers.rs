//! Workers receive the steps that they have handlers for, and leave the others where they are.

use std::collections::HashSet;

use serde_json::json;
use tasker_shared::state::StepState;
use tasker_shared::steps::{self, ReceivedStep};

use crate::support::{LEASE, WORKER, World, complete};

fn handlers(steps: &[ReceivedStep]) -> HashSet<&str> {
    steps.iter().map(|step| step.handler.as_str()).collect()
}

/// A template whose second step needs a handler of its own.
async fn world_of_two_handlers() -> World {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "mixed", "version": "1.0.0", "steps": [
                { "name": "first", "handler": "a" },
                { "name": "second", "handler": "b", "depends_on": ["first"] },
            ],
        }))
        .await;
    world
}

#[tokio::test]
async fn a_worker_receives_only_steps_whose_handlers_it_knows() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    for _ in 0..5 {
        world.enqueue("b", 0, 10).await;
        world.enqueue("a", 0, 1).await;
    }

    let received = world.receive_for(WORKER, &["a", "z"], 100).await;

    assert_eq!(received.len(), 5);
    assert_eq!(handlers(&received), HashSet::from(["a"]));
    assert!(world.receive_for(WORKER, &["a", "z"], 100).await.is_empty());
    assert!(world.receive_for(WORKER, &[], 100).await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_whose_handler_nobody_knows_waits_unstarted_until_somebody_does() {
    let mut world = World::with_handlers(&["a"]).await;
    let task = world.enqueue("a", 0, 1).await[0];
    for _ in 0..30 {
        assert!(world.receive_for(WORKER, &["b"], 10).await.is_empty());
    }

    let spent: i64 = world
        .value(
            "select count(*) from tasker.steps, pgmq.q_worker_test_queue
             where attempt <> 0 or receipt <> 0 or read_ct <> 0 or vt > clock_timestamp()",
        )
        .await;
    assert_eq!(spent, 0);
    assert_eq!(world.step_state(task, "only").await, StepState::Enqueued);
    world.assert_healthy().await;

    let received = world.receive_for(WORKER, &["b", "a"], 10).await;
    assert_eq!((received[0].attempt, received[0].receipt), (1, 1));
    world.report(&[complete(&received[0])]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_workers_that_know_half_each_share_a_queue_fully() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    for number in 0..60 {
        let name = if number % 2 == 0 { "a" } else { "b" };
        world
            .submit_with(name, |task| task.priority = number % 3)
            .await;
    }
    world.claim().await;

    let mut runs = 0;
    for _ in 0..3 {
        for known in ["a", "b"] {
            let received = world.receive_for(known, &[known], 10).await;
            assert_eq!(
                (received.len(), handlers(&received)),
                (10, HashSet::from([known]))
            );
            let reports: Vec<_> = received.iter().map(complete).collect();
            assert_eq!(
                world.report_as(known, &reports).await.stale,
                Vec::<usize>::new()
            );
            runs += received.len();
        }
    }

    assert_eq!(runs, 60);
    let open: i64 = world
        .value("select count(*) from tasker.tasks where state <> 'complete'")
        .await;
    assert_eq!(open, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_several_dependents_one_whose_handler_is_known_is_handed_on() {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "fork", "version": "1.0.0", "steps": [
                { "name": "first", "handler": "a" },
                { "name": "foreign", "handler": "b", "depends_on": ["first"] },
                { "name": "own", "handler": "a", "depends_on": ["first"] },
            ],
        }))
        .await;
    world.enqueue("fork", 0, 1).await;
    let first = world.receive_for(WORKER, &["a"], 1).await.remove(0);

    let reported = world.continue_as(WORKER, &[complete(&first)], &["a"]).await;

    assert_eq!(reported.continued.len(), 1);
    assert_eq!(reported.continued[0].step_name, "own");
    world.claim().await;
    assert!(world.receive_for(WORKER, &["a"], 10).await.is_empty());
    assert_eq!(
        world.receive_for("b", &["b"], 10).await[0].step_name,
        "foreign"
    );
    world.assert_healthy().await;
}

/// A task whose second step was handed to the worker that ended the first, and the two steps.
async fn handed_on(priority: i32) -> (World, [ReceivedStep; 2]) {
    let mut world = world_of_two_handlers().await;
    world.enqueue("mixed", priority, 1).await;
    let first = world.receive_for(WORKER, &["a", "b"], 1).await.remove(0);
    let second = world
        .continue_as(WORKER, &[complete(&first)], &["a", "b"])
        .await
        .continued
        .remove(0);
    (world, [first, second])
}

#[tokio::test]
async fn a_step_that_was_handed_on_and_given_back_goes_to_those_who_know_its_handler() {
    let (mut world, [_, second]) = handed_on(0).await;

    world.release_as(WORKER, &[&second]).await;

    assert!(world.receive_for("a", &["a"], 10).await.is_empty());
    let received = world.receive_for("b", &["b"], 10).await;
    assert_eq!(received[0].id, second.id);
    world.report_as("b", &[complete(&received[0])]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_was_handed_on_and_lost_is_found_by_those_who_know_its_handler() {
    let (mut world, [_, second]) = handed_on(3).await;

    // Not while its worker holds it.
    world.tend_queues().await;
    let named = "select message ->> 'handler' from pgmq.q_worker_test_queue";
    assert_eq!(world.value::<String>(named).await, "a");
    world.expire_leases().await;
    assert_eq!(world.tend_queues().await, 0);

    assert!(world.receive_for("a", &["a"], 10).await.is_empty());
    let back = world.receive_for("b", &["b"], 10).await.remove(0);
    assert_eq!(
        (back.id, back.expired.as_deref()),
        (second.id, Some("lease_expired"))
    );
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_was_handed_on_and_lost_is_found_behind_many_that_came_back() {
    let (mut world, [_, second]) = handed_on(3).await;
    world.template_of("test", "nobody", "nobody").await;
    world.enqueue("nobody", 0, 1001).await;
    world
        .run(format!(
            "update pgmq.q_worker_test_queue set read_ct = 1;
             with last as (
               delete from pgmq.q_worker_test_queue where msg_id = {0} returning *
             )
             insert into pgmq.q_worker_test_queue overriding system value select * from last",
            second.msg_id
        ))
        .await;
    world.expire_leases().await;

    assert_eq!(world.tend_queues().await, 0);

    let back = world.receive_for("b", &["b"], 10).await;
    assert_eq!(crate::tasks_of(&back), [second.id.task_uuid]);
}

#[tokio::test]
async fn a_place_is_given_to_the_oldest_step_of_all_known_handlers() {
    let mut world = World::with_handlers(&["a", "b", "c"]).await;
    let mut expected = Vec::new();
    for _ in 0..10 {
        for name in ["c", "a", "b"] {
            expected.extend(world.enqueue(name, 0, 1).await);
        }
    }

    let mut received = Vec::new();
    for _ in 0..10 {
        let some = world.receive_for(WORKER, &["b", "a", "c"], 3).await;
        received.extend(crate::tasks_of(&some));
    }

    assert_eq!(received, expected);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_lease_of_a_step_that_was_handed_on_is_extended_in_its_own_name() {
    let (mut world, [first, second]) = handed_on(0).await;

    let both = [(first.id, first.receipt), (second.id, second.receipt)];
    let lost = steps::extend_leases(&mut world.connection, WORKER, &both, LEASE)
        .await
        .unwrap();

    assert_eq!(lost.len(), 1);
    assert_eq!((lost[0].index, lost[0].reason.as_str()), (0, "stale"));
    world.assert_healthy().await;
}
