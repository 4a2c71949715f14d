//! The number of a receipt does not come back, so that no worker touches what others hold.

use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps;

use crate::support::{DIAMOND, LEASE, SINGLE, World, complete, fail, retry};
use crate::{LINEAR, StepReport};

const KNOWN: &[&str] = &["builtin.noop"];

async fn with_one_enqueued() -> (World, TaskUuid) {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.enqueue("single", 0, 1).await[0];
    (world, task)
}

#[tokio::test]
async fn an_expired_step_that_was_given_back_is_out_of_reach_for_those_who_saw_it_expire() {
    for late in [complete, retry, fail] {
        let (mut world, task) = with_one_enqueued().await;
        let held = world.receive_for("worker-0", KNOWN, 1).await.remove(0);
        world.expire_leases().await;
        let expired = world.receive_for("worker-1", KNOWN, 1).await.remove(0);
        assert!(expired.expired.is_some());
        assert!(
            world
                .release_as("worker-0", &[&held])
                .await
                .stale
                .is_empty()
        );
        let alive = world.receive_for("worker-2", KNOWN, 1).await.remove(0);
        assert_eq!((alive.attempt, alive.expired.as_deref()), (1, None));
        assert_eq!(
            (alive.attempt, alive.msg_id),
            (expired.attempt, expired.msg_id)
        );
        assert!(alive.receipt > expired.receipt);

        let too_late: [StepReport; 1] = [late(&expired)];
        assert_eq!(world.report_as("worker-1", &too_late).await.stale, [0]);
        assert_eq!(world.release_as("worker-1", &[&expired]).await.stale, [0]);

        let counted = world.report_as("worker-2", &[complete(&alive)]).await;
        assert_eq!(counted.stale, Vec::<usize>::new());
        assert_eq!(world.task_state(task).await, TaskState::Complete);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn a_release_that_is_repeated_after_a_lost_answer_releases_nothing() {
    let (mut world, task) = with_one_enqueued().await;
    let given_back = world.receive_for("worker-0", KNOWN, 1).await.remove(0);
    world.release_as("worker-0", &[&given_back]).await;
    let again = world.receive_for("worker-0", KNOWN, 1).await.remove(0);
    assert_eq!(
        (again.attempt, again.msg_id),
        (given_back.attempt, given_back.msg_id)
    );

    let repeated = world.release_as("worker-0", &[&given_back]).await;

    assert_eq!(repeated.stale, [0]);
    assert_eq!(world.step_state(task, "only").await, StepState::InProgress);
    assert!(world.receive_for("worker-1", KNOWN, 1).await.is_empty());
    let old = [(given_back.id, given_back.receipt)];
    let lost = steps::extend_leases(&mut world.connection, "worker-0", &old, LEASE)
        .await
        .unwrap();
    assert_eq!(lost[0].reason, "stale");
    let counted = world.report_as("worker-0", &[complete(&again)]).await;
    assert_eq!(counted.stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_another_worker_holds_is_not_released_under_its_receipt() {
    let (mut world, task) = with_one_enqueued().await;
    let held = world.receive_for("worker-0", KNOWN, 1).await.remove(0);

    assert_eq!(world.release_as("worker-1", &[&held]).await.stale, [0]);

    assert_eq!(world.step_state(task, "only").await, StepState::InProgress);
    world.assert_healthy().await;
}

#[tokio::test]
async fn receipts_are_numbered_upwards_whatever_happens_to_their_step() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.enqueue("linear", 0, 1).await[0];
    let first = world.receive_for("w", KNOWN, 1).await.remove(0);
    let mut receipts = Vec::new();

    let reported = world.continue_as("w", &[complete(&first)], KNOWN).await;
    let mut second = reported.continued[0].clone();
    receipts.push(second.receipt);

    world.release_as("w", &[&second]).await;
    second = world.receive_for("w", KNOWN, 1).await.remove(0);
    receipts.push(second.receipt);

    world.report_as("w", &[retry(&second)]).await;
    world.fire_timers().await;
    world.claim().await;
    second = world.receive_for("w", KNOWN, 1).await.remove(0);
    receipts.push(second.receipt);

    world.release_as("w", &[&second]).await;
    second = world.receive_for("w", KNOWN, 1).await.remove(0);
    receipts.push(second.receipt);

    world.report_as("w", &[fail(&second)]).await;
    world.operate(task, Action::RetryStep("second")).await;
    world.claim().await;
    second = world.receive_for("w", KNOWN, 1).await.remove(0);
    receipts.push(second.receipt);

    assert_eq!(receipts, [1, 2, 3, 4, 5]);
    assert_eq!(second.attempt, 3);
    world.report_as("w", &[complete(&second)]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_report_under_an_earlier_receipt_of_the_same_message_is_stale() {
    let (mut world, task) = with_one_enqueued().await;
    let earlier = world.receive_for("w", KNOWN, 1).await.remove(0);
    world.release_as("w", &[&earlier]).await;
    let current = world.receive_for("w", KNOWN, 1).await.remove(0);
    assert_eq!(current.msg_id, earlier.msg_id);

    assert_eq!(world.report_as("w", &[fail(&earlier)]).await.stale, [0]);

    assert_eq!(world.step_state(task, "only").await, StepState::InProgress);
    assert!(
        world
            .report_as("w", &[complete(&current)])
            .await
            .stale
            .is_empty()
    );
    world.assert_healthy().await;
}

#[tokio::test]
async fn only_the_worker_of_a_lost_answer_is_told_again_what_was_handed_on() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.enqueue("linear", 0, 1).await;
    let first = world.receive_for("w", KNOWN, 1).await.remove(0);
    let reports = [complete(&first)];
    let handed_on = world
        .continue_as("w", &reports, KNOWN)
        .await
        .continued
        .remove(0);

    let to_another = world.continue_as("worker-2", &reports, KNOWN).await;
    assert!(to_another.continued.is_empty());
    world.release_as("w", &[&handed_on]).await;
    let second = world.receive_for("worker-2", KNOWN, 1).await.remove(0);
    let too_late = world.continue_as("w", &reports, KNOWN).await;
    assert!(too_late.continued.is_empty(), "another runs it");

    world.report_as("worker-2", &[complete(&second)]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_repeated_report_does_not_tell_of_what_its_worker_received_otherwise() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    world.enqueue("diamond", 0, 1).await;
    let first = world.receive_for("w", KNOWN, 1).await.remove(0);
    let reports = [complete(&first)];
    let handed_on = world.continue_as("w", &reports, KNOWN).await.continued;
    world.claim().await;
    let received = world.receive_for("w", KNOWN, 10).await;
    assert_eq!((handed_on.len(), received.len()), (1, 1));

    let again = world.continue_as("w", &reports, KNOWN).await.continued;

    assert_eq!(again.len(), 1);
    assert_eq!(again[0].id, handed_on[0].id);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_message_stays_until_the_outcome_of_its_step_is_recorded() {
    let (mut world, _) = with_one_enqueued().await;
    let messages = "select count(*) from pgmq.q_worker_test_queue";
    let held = world.receive_for("w", KNOWN, 1).await.remove(0);
    assert_eq!(world.value::<i64>(messages).await, 1);
    world.expire_leases().await;
    let expired = world.receive_for("worker-1", KNOWN, 1).await;
    assert_eq!(expired[0].msg_id, held.msg_id);
    assert_eq!(world.value::<i64>(messages).await, 1);

    world.report_as("w", &[complete(&held)]).await;

    assert_eq!(world.value::<i64>(messages).await, 0);
    world.assert_healthy().await;
}
