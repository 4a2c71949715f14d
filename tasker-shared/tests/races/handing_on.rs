//! Steps that are handed on to their dependents while another transaction acts on them.

use serde_json::json;
use sqlx::PgConnection;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, Continuation, ReceivedStep, Reported, StepReport};

use crate::OTHER;
use crate::support::{DIAMOND, LEASE, World, act, complete, retry};

const LINEAR: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];

async fn go_on(connection: &mut PgConnection, worker: &str, reports: &[StepReport]) -> Reported {
    let continuation = Continuation {
        may_continue: vec![true; reports.len()],
        handlers: &["builtin.noop".to_owned()],
        lease: LEASE,
    };
    steps::complete_and_continue(
        connection,
        worker,
        reports,
        &continuation,
        steps::Locks::Wait,
    )
    .await
    .unwrap()
}

/// A task of which the first step runs.
async fn with_the_first_step_running(
    world: &mut World,
    steps: &[(&str, &[&str])],
) -> (TaskUuid, ReceivedStep) {
    world.template("t", steps).await;
    let task = world.submit("t").await;
    let step = world.start_one().await;
    (task, step)
}

fn names(reported: &Reported) -> Vec<&str> {
    let continued = reported.continued.iter();
    continued.map(|step| step.step_name.as_str()).collect()
}

#[tokio::test]
async fn a_join_whose_parents_complete_at_once_is_started_once() {
    let mut world = World::new().await;
    let (task, first) = with_the_first_step_running(&mut world, DIAMOND).await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;
    let mut transaction = world.begin().await;
    let one = go_on(&mut transaction, OTHER, &[complete(&branches[0])]).await;

    let report = complete(&branches[1]);
    let two = world
        .start_blocked(async move |mut connection| {
            go_on(&mut connection, "worker-3", &[report]).await
        })
        .await;
    transaction.commit().await.unwrap();
    let two = two.await.unwrap();

    assert_eq!(names(&one), Vec::<&str>::new());
    assert_eq!(names(&two), ["d"]);
    assert!(world.claim().await.is_empty());
    assert!(world.receive().await.is_empty());
    world.assert_healthy().await;
    world.report(&[complete(&two.continued[0])]).await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
}

#[tokio::test]
async fn of_two_parents_in_one_batch_one_message_goes_on_and_the_other_goes_away() {
    let mut world = World::new().await;
    let (_, first) = with_the_first_step_running(&mut world, DIAMOND).await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;

    let reports = branches.iter().map(complete).collect::<Vec<_>>();
    let reported = go_on(&mut world.connection, OTHER, &reports).await;

    assert_eq!(names(&reported), ["d"]);
    let messages: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!(messages, 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_message_whose_lease_ran_out_while_it_is_handed_on_is_not_received() {
    let mut world = World::new().await;
    let (task, first) = with_the_first_step_running(&mut world, LINEAR).await;
    world.expire_leases().await;
    let mut transaction = world.begin().await;
    let reported = go_on(&mut transaction, OTHER, &[complete(&first)]).await;

    assert!(world.receive().await.is_empty(), "and it did not wait");
    transaction.commit().await.unwrap();

    assert_eq!(names(&reported), ["b"]);
    world.assert_healthy().await;
    world.report(&[complete(&reported.continued[0])]).await;
    assert_eq!(world.run_all().await, ["c"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn an_expired_step_that_is_received_while_it_is_handed_on_goes_on() {
    let mut world = World::new().await;
    let (_, first) = with_the_first_step_running(&mut world, LINEAR).await;
    world.expire_leases().await;
    let namespaces = ["test".to_owned()];
    let mut transaction = world.begin().await;
    let expired = steps::receive_steps(
        &mut transaction,
        OTHER,
        &steps::Demand::of_any(&namespaces, 10, LEASE),
    )
    .await
    .unwrap()
    .steps
    .remove(0);

    let report = complete(&first);
    let outcome = world
        .start_blocked(async move |mut connection| {
            go_on(&mut connection, "worker-3", &[report]).await
        })
        .await;
    transaction.commit().await.unwrap();

    assert_eq!(names(&outcome.await.unwrap()), ["b"]);
    assert_eq!(world.report(&[retry(&expired)]).await.stale, [0]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_meanwhile_does_not_go_on() {
    let mut world = World::new().await;
    let (task, first) = with_the_first_step_running(&mut world, LINEAR).await;
    let mut transaction = world.begin().await;
    act(&mut transaction, task, Action::CancelTask)
        .await
        .unwrap();

    let report = complete(&first);
    let outcome = world
        .start_blocked(async move |mut connection| go_on(&mut connection, OTHER, &[report]).await)
        .await;
    transaction.commit().await.unwrap();

    assert_eq!(names(&outcome.await.unwrap()), Vec::<&str>::new());
    assert_eq!(world.step_state(task, "a").await, StepState::Complete);
    assert_eq!(world.step_state(task, "b").await, StepState::Cancelled);
    let messages: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!(messages, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_after_it_went_on_lets_the_step_end() {
    let mut world = World::new().await;
    let (task, first) = with_the_first_step_running(&mut world, LINEAR).await;
    let mut transaction = world.begin().await;
    let reported = go_on(&mut transaction, OTHER, &[complete(&first)]).await;

    let cancel = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::CancelTask).await
        })
        .await;
    transaction.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert_eq!(world.step_state(task, "b").await, StepState::InProgress);
    assert_eq!(world.step_state(task, "c").await, StepState::Cancelled);
    world.assert_healthy().await;
    let after = go_on(
        &mut world.connection,
        OTHER,
        &[complete(&reported.continued[0])],
    )
    .await;
    assert_eq!(after.stale, Vec::<usize>::new());
    assert_eq!(names(&after), Vec::<&str>::new());
    assert_eq!(world.step_state(task, "b").await, StepState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_dependent_that_is_skipped_meanwhile_is_not_started() {
    let mut world = World::new().await;
    let (task, first) = with_the_first_step_running(&mut world, LINEAR).await;
    let mut transaction = world.begin().await;
    let skip = Settlement::Skip(json!(null));
    act(&mut transaction, task, Action::SettleStep("b", &skip))
        .await
        .unwrap();

    let report = complete(&first);
    let outcome = world
        .start_blocked(async move |mut connection| go_on(&mut connection, OTHER, &[report]).await)
        .await;
    transaction.commit().await.unwrap();

    assert_eq!(names(&outcome.await.unwrap()), Vec::<&str>::new());
    world.assert_healthy().await;
    assert_eq!(world.run_all().await, ["c"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_heartbeat_for_what_was_handed_on_is_stale_and_for_what_follows_is_not() {
    let mut world = World::new().await;
    let (_, first) = with_the_first_step_running(&mut world, LINEAR).await;
    let reported = go_on(&mut world.connection, OTHER, &[complete(&first)]).await;
    let next = &reported.continued[0];

    let both = [(first.id, first.attempt), (next.id, next.attempt)];
    let lost = steps::extend_leases(&mut world.connection, OTHER, &both, LEASE)
        .await
        .unwrap();

    let lost = lost.iter().map(|lost| (lost.index, lost.reason.as_str()));
    assert_eq!(lost.collect::<Vec<_>>(), [(0, "stale")]);
    world.assert_healthy().await;
}
