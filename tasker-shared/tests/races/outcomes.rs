//! Outcomes, late outcomes and messages that come back, at once.

use tasker_shared::operator::Action;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::support::{LEASE, SINGLE, WORKER, World, act, complete, retry};
use crate::{OTHER, ready_rows, with_one_step_running, with_two_branches_running};

#[tokio::test]
async fn a_join_whose_parents_complete_at_once_is_readied_once() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    let one = steps::complete_steps(
        &mut first,
        WORKER,
        &[complete(&branches[0])],
        steps::Locks::Wait,
    )
    .await
    .unwrap();

    let report = complete(&branches[1]);
    let two = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, OTHER, &[report], steps::Locks::Wait)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();
    let two = two.await.unwrap();

    assert!(one.announcements.ready.is_empty());
    assert_eq!(two.announcements.ready, [task.0]);
    assert_eq!(ready_rows(&mut world).await, 1);
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_join_does_not_count_a_parent_whose_outcome_was_rolled_back() {
    let mut world = World::new().await;
    let (task, branches) = with_two_branches_running(&mut world).await;
    let mut first = world.begin().await;
    steps::complete_steps(
        &mut first,
        WORKER,
        &[complete(&branches[0])],
        steps::Locks::Wait,
    )
    .await
    .unwrap();

    let report = complete(&branches[1]);
    let two = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, OTHER, &[report], steps::Locks::Wait)
                .await
                .unwrap()
        })
        .await;
    first.rollback().await.unwrap();

    assert!(two.await.unwrap().announcements.is_empty());
    assert_eq!(ready_rows(&mut world).await, 0);
    world.assert_healthy().await;
    world.report(&[complete(&branches[0])]).await;
    assert_eq!(world.run_all().await, ["d"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
}

#[tokio::test]
async fn of_an_outcome_and_the_report_that_its_lease_ran_out_the_first_counts() {
    for outcome_first in [true, false] {
        let mut world = World::new().await;
        let (task, step) = with_one_step_running(&mut world).await;
        world.expire_leases().await;
        let expired = world.receive().await.remove(0);
        assert!(expired.expired.is_some());
        let (one, two) = if outcome_first {
            (complete(&step), retry(&expired))
        } else {
            (retry(&expired), complete(&step))
        };
        let mut first = world.begin().await;
        let counted = steps::complete_steps(&mut first, WORKER, &[one], steps::Locks::Wait)
            .await
            .unwrap();

        let late = world
            .start_blocked(async move |mut connection| {
                steps::complete_steps(&mut connection, OTHER, &[two], steps::Locks::Wait)
                    .await
                    .unwrap()
            })
            .await;
        first.commit().await.unwrap();

        assert_eq!(counted.stale, Vec::<usize>::new());
        assert_eq!(late.await.unwrap().stale, [0]);
        let expected = if outcome_first {
            StepState::Complete
        } else {
            StepState::WaitingForRetry
        };
        assert_eq!(world.step_state(task, "only").await, expected);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_step_whose_outcome_is_being_recorded_is_not_received_again() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    world.expire_leases().await;
    let mut first = world.begin().await;
    steps::complete_steps(&mut first, WORKER, &[complete(&step)], steps::Locks::Wait)
        .await
        .unwrap();

    assert!(world.receive().await.is_empty(), "and it did not wait");
    first.commit().await.unwrap();

    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_outcome_that_comes_while_its_expired_step_is_received_still_counts() {
    let mut world = World::new().await;
    let (task, step) = with_one_step_running(&mut world).await;
    world.expire_leases().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;
    let expired = steps::receive_steps(
        &mut first,
        OTHER,
        &steps::Demand::of_any(&namespaces, 10, LEASE),
    )
    .await
    .unwrap()
    .steps
    .remove(0);

    let report = complete(&step);
    let outcome = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &[report], steps::Locks::Wait)
                .await
                .unwrap()
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(outcome.await.unwrap().stale, Vec::<usize>::new());
    assert_eq!(world.report(&[retry(&expired)]).await.stale, [0]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_workers_never_receive_the_same_step() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    for _ in 0..4 {
        world.submit("single").await;
    }
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let mut first = world.begin().await;

    let some = steps::receive_steps(
        &mut first,
        OTHER,
        &steps::Demand::of_any(&namespaces, 3, LEASE),
    )
    .await
    .unwrap()
    .steps;
    let rest = world.receive().await;
    first.commit().await.unwrap();

    assert_eq!((some.len(), rest.len()), (3, 1));
    assert!(some.iter().all(|step| step.id != rest[0].id));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_message_of_a_step_that_somebody_looks_at_is_not_hidden_for_a_whole_lease() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    world.claim().await;
    let mut first = world.begin().await;
    // As a call does that is about to be refused.
    sqlx::query("select from tasker.steps for no key update")
        .execute(&mut *first)
        .await
        .unwrap();

    let received = world.receive().await;
    first.rollback().await.unwrap();

    assert!(received.is_empty());
    let hidden: f64 = world
        .value(
            "select extract(epoch from vt - clock_timestamp())::float8
            from pgmq.q_worker_test_queue",
        )
        .await;
    assert!(hidden < 1.0, "{hidden} s");
    wait_until("the step is received", WAIT_TIMEOUT, async || {
        !world.receive().await.is_empty()
    })
    .await;
    assert_eq!(world.step_state(task, "only").await, StepState::InProgress);
    world.assert_healthy().await;
}

#[tokio::test]
async fn hundreds_of_steps_that_somebody_holds_keep_no_other_from_a_receipt() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..300).map(|number| format!("step_{number}")).collect();
    let roots: Vec<(&str, &[&str])> = names.iter().map(|name| (&**name, &[][..])).collect();
    world.template("wide", &roots).await;
    world.template("single", SINGLE).await;
    let wide = world.submit("wide").await;
    world.claim().await;
    let mut others = Vec::new();
    for _ in 0..15 {
        others.push(world.submit("single").await);
    }
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let mut received = Vec::new();

    // One holds the messages too, the other the steps alone.
    let mut first = world.begin().await;
    act(&mut first, wide, Action::CancelTask).await.unwrap();
    let demand = steps::Demand::of_any(&namespaces, 10, LEASE);
    let ten = steps::receive_steps(&mut world.connection, WORKER, &demand).await;
    received.extend(ten.unwrap().steps);
    first.rollback().await.unwrap();
    let mut first = world.begin().await;
    sqlx::query("select from tasker.steps where task_uuid = $1 for no key update")
        .bind(wide)
        .execute(&mut *first)
        .await
        .unwrap();
    let demand = steps::Demand::of_any(&namespaces, 1, LEASE);
    for _ in 0..5 {
        let one = steps::receive_steps(&mut world.connection, WORKER, &demand).await;
        received.extend(one.unwrap().steps);
    }

    let tasks: Vec<_> = received.iter().map(|step| step.id.task_uuid).collect();
    assert_eq!(tasks, others);
    let nothing = steps::receive_steps(&mut world.connection, WORKER, &demand)
        .await
        .unwrap();
    assert!(nothing.steps.is_empty() && nothing.left_out);
    world.assert_healthy().await;
    first.rollback().await.unwrap();
    let mut ready = names.len();
    wait_until("all are received", WAIT_TIMEOUT, async || {
        ready -= world.receive().await.len();
        ready == 0
    })
    .await;
    world.assert_healthy().await;
}
