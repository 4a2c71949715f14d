//! What is more urgent is handed out first, whatever waits in front of it.

use sqlx::PgConnection;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::steps::ReceivedStep;

use crate::support::{SINGLE, WORKER, World, complete, fail, retry};
use crate::{LINEAR, tasks_of};

/// Receives steps one by one.
async fn one_by_one(world: &mut World, count: usize) -> Vec<ReceivedStep> {
    let mut received = Vec::new();
    for _ in 0..count {
        world.draw(false).await;
        received.extend(world.receive_for(WORKER, &["builtin.noop"], 1).await);
    }
    assert_eq!(received.len(), count);
    received
}

/// Two tasks of one step each, the urgent one behind the other, which both run.
async fn two_that_run(world: &mut World) -> [ReceivedStep; 2] {
    world.template("single", SINGLE).await;
    world.enqueue("single", 0, 1).await;
    world.enqueue("single", 7, 1).await;
    let [urgent, ordinary] = one_by_one(world, 2).await.try_into().unwrap();
    assert_eq!((ordinary.priority, urgent.priority), (0, 7));
    [ordinary, urgent]
}

async fn assert_urgent_first(world: &mut World, urgent: TaskUuid, ordinary: TaskUuid) {
    let received = one_by_one(world, 2).await;
    assert_eq!(tasks_of(&received), [urgent, ordinary]);
    assert_eq!((received[0].priority, received[1].priority), (7, 0));
    let reports: Vec<_> = received.iter().map(complete).collect();
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn behind_a_backlog_of_hundreds_the_urgent_are_received_first_and_the_oldest_of_them() {
    let mut world = World::with_handlers(&["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        world.enqueue(name, 0, 150).await;
    }
    let mut urgent = Vec::new();
    for name in ["c", "a", "b", "c"] {
        urgent.extend(world.enqueue(name, 7, 1).await);
    }
    let most_urgent = world.enqueue("b", 30_000, 1).await;

    let mut received = Vec::new();
    for _ in 0..5 {
        world.draw(false).await;
        received.extend(world.receive_for(WORKER, &["a", "b", "c"], 1).await);
    }

    assert_eq!(tasks_of(&received), [most_urgent, urgent].concat());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_receipt_answers_its_steps_the_most_urgent_first_and_then_the_oldest() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    let mut tasks = Vec::new();
    for number in 0..9 {
        let name = if number % 2 == 0 { "a" } else { "b" };
        let priority = [-5, 0, 32_767][number % 3];
        tasks.push((-priority, world.enqueue(name, priority, 1).await[0]));
    }
    tasks.sort_by_key(|(urgency, _)| *urgency);

    world.draw(false).await;
    let received = world.receive_for(WORKER, &["a", "b"], 9).await;

    let expected: Vec<_> = tasks.into_iter().map(|(_, task)| task).collect();
    assert_eq!(tasks_of(&received), expected);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_worker_for_any_handler_receives_the_urgent_first_too() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    world.enqueue("a", 0, 50).await;
    world.enqueue("b", 1, 50).await;

    let received = world.receive().await;

    assert_eq!(received.len(), 100);
    let aged = received.iter().take(10).filter(|step| step.priority == 0);
    let urgent = received
        .iter()
        .skip(10)
        .take(50)
        .all(|step| step.priority == 1);
    assert!(aged.count() == 10 && urgent || received[0].priority == 1);
}

#[tokio::test]
async fn dependents_have_the_priority_of_their_task() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let ordinary = world.enqueue("linear", 0, 1).await[0];
    let urgent = world.enqueue("linear", 7, 1).await[0];
    let roots = one_by_one(&mut world, 2).await;
    // That of the ordinary task is ready first.
    world.report(&[complete(&roots[1])]).await;
    world.report(&[complete(&roots[0])]).await;

    assert_eq!(claim_one(&mut world.connection).await, urgent);
    assert_eq!(claim_one(&mut world.connection).await, ordinary);
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

/// The task of the ready step that is claimed next.
async fn claim_one(connection: &mut PgConnection) -> TaskUuid {
    let claimed = tasker_shared::readiness::claim_ready_tasks(connection, "o", 1).await;
    claimed.unwrap()[0].task_uuid
}

#[tokio::test]
async fn dependents_that_become_ready_together_are_claimed_by_their_priority() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let ordinary = world.enqueue("linear", 0, 1).await[0];
    let urgent = world.enqueue("linear", 7, 1).await[0];
    let roots = one_by_one(&mut world, 2).await;
    world
        .report(&[complete(&roots[1]), complete(&roots[0])])
        .await;

    // All at once, and then in one receipt.
    world.claim().await;
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

#[tokio::test]
async fn retries_have_the_priority_of_their_task() {
    let mut world = World::new().await;
    let [ordinary, urgent] = two_that_run(&mut world).await;
    // The ordinary one is due first.
    world.report(&[retry(&ordinary)]).await;
    world.report(&[retry(&urgent)]).await;
    world.fire_timers().await;

    let [urgent, ordinary] = [urgent.id.task_uuid, ordinary.id.task_uuid];
    assert_eq!(claim_one(&mut world.connection).await, urgent);
    assert_eq!(claim_one(&mut world.connection).await, ordinary);
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

#[tokio::test]
async fn steps_that_an_operator_retries_have_the_priority_of_their_task() {
    let mut world = World::new().await;
    let [ordinary, urgent] = two_that_run(&mut world).await;
    world.report(&[fail(&ordinary), fail(&urgent)]).await;
    for step in [&ordinary, &urgent] {
        world
            .operate(step.id.task_uuid, Action::RetryStep("only"))
            .await;
    }

    let [urgent, ordinary] = [urgent.id.task_uuid, ordinary.id.task_uuid];
    assert_eq!(claim_one(&mut world.connection).await, urgent);
    assert_eq!(claim_one(&mut world.connection).await, ordinary);
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

#[tokio::test]
async fn steps_that_are_handed_back_keep_their_priority() {
    let mut world = World::new().await;
    let [ordinary, urgent] = two_that_run(&mut world).await;

    world.release_as(WORKER, &[&ordinary]).await;
    world.release_as(WORKER, &[&urgent]).await;

    assert_urgent_first(&mut world, urgent.id.task_uuid, ordinary.id.task_uuid).await;
}

#[tokio::test]
async fn a_dependent_that_was_handed_on_and_back_keeps_its_priority() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let urgent = world.enqueue("linear", 7, 1).await[0];
    let first = one_by_one(&mut world, 1).await;
    let reported = world
        .continue_as(WORKER, &[complete(&first[0])], &["builtin.noop"])
        .await;
    world.template("single", SINGLE).await;
    let ordinary = world.enqueue("single", 0, 1).await[0];

    world.release_as(WORKER, &[&reported.continued[0]]).await;

    assert_urgent_first(&mut world, urgent, ordinary).await;
}

#[tokio::test]
async fn messages_that_are_made_again_keep_their_priority() {
    for lose in [
        "select tasker.use_unlogged_queues(true);
         truncate pgmq.q_worker_test_queue, tasker.queues_intact;
         select tasker.refill_queues()",
        "truncate pgmq.q_worker_test_queue; select tasker.repair_queue('test')",
        "drop table pgmq.q_worker_test_queue; select tasker.repair_queue('test')",
    ] {
        let mut world = World::new().await;
        world.template("single", SINGLE).await;
        let ordinary = world.enqueue("single", 0, 1).await[0];
        let urgent = world.enqueue("single", 7, 1).await[0];

        world.run(lose).await;

        assert_urgent_first(&mut world, urgent, ordinary).await;
    }
}

#[tokio::test]
async fn nothing_is_handed_on_while_something_more_urgent_waits_in_the_queue() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.template("single", SINGLE).await;
    let ordinary = world.enqueue("linear", 0, 1).await[0];
    let first = one_by_one(&mut world, 1).await;
    let urgent = world.enqueue("single", 7, 1).await[0];

    let known = &["builtin.noop"];
    let reported = world
        .continue_as(WORKER, &[complete(&first[0])], known)
        .await;

    assert!(reported.continued.is_empty());
    assert_eq!(reported.announcements.ready, [ordinary.0]);
    world.claim().await;
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

/// An outcome that comes after its step was given back says nothing of the message, which waits.
#[tokio::test]
async fn nothing_is_handed_on_while_what_a_stale_outcome_is_about_waits_and_is_more_urgent() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.template("single", SINGLE).await;
    let ordinary = world.enqueue("linear", 0, 1).await[0];
    let urgent = world.enqueue("single", 7, 1).await[0];
    let running = one_by_one(&mut world, 2).await;
    world.release_as(WORKER, &[&running[0]]).await;

    let outcomes = running.iter().map(complete).collect::<Vec<_>>();
    let reported = world
        .continue_as(WORKER, &outcomes, &["builtin.noop"])
        .await;

    assert_eq!((reported.stale, reported.continued.len()), (vec![0], 0));
    assert_eq!(reported.announcements.ready, [ordinary.0]);
    world.claim().await;
    assert_urgent_first(&mut world, urgent, ordinary).await;
}

#[tokio::test]
async fn a_chain_goes_on_where_nothing_waits_that_its_worker_could_rather_run() {
    // Of the same urgency, of a handler that the worker lacks, in the hands of another.
    for (priority, handler, held) in [(0, "a", false), (7, "b", false), (7, "a", true)] {
        let mut world = World::with_handlers(&["a", "b"]).await;
        world.template("linear", LINEAR).await;
        world.enqueue("b", -1, 1).await;
        world.enqueue(handler, priority, 1).await;
        if held {
            world.draw(false).await;
            assert_eq!(world.receive_for("another", &[handler], 1).await.len(), 1);
        }
        world.enqueue("linear", 0, 1).await;
        let first = one_by_one(&mut world, 1).await;

        let known = &["builtin.noop", "a"];
        let reported = world
            .continue_as(WORKER, &[complete(&first[0])], known)
            .await;

        assert_eq!(reported.continued.len(), 1, "{priority} {handler} {held}");
        world.assert_healthy().await;
    }
}
