//! Outcomes that hand their place on to a dependent, in the same transaction.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{LEASE, WORKER, World, complete, fail, retry};
use tasker_shared::operator::Action;
use tasker_shared::readiness;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::{self, Continuation, ReceivedStep, Reported, StepReport};

const LINEAR: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];
const DIAMOND: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
async fn report(world: &mut World, reports: &[StepReport]) -> Reported {
    let continuation = Continuation {
        may_continue: vec![true; reports.len()],
        handlers: &["builtin.noop".to_owned()],
        lease: LEASE,
    };
    steps::complete_and_continue(
        &mut world.connection,
        WORKER,
        reports,
        &continuation,
        steps::Locks::Wait,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn a_chain_runs_to_its_end_on_one_message() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let a = world.start_one().await;

    let b = report(&mut world, &[complete(&a)]).await;
    assert!(b.announcements.is_empty());
    let b = b.continued;
    world.assert_healthy().await;
    let c = report(&mut world, &[complete(&b[0])]).await.continued;
    world.assert_healthy().await;
    let end = report(&mut world, &[complete(&c[0])]).await;

    assert_eq!(end.announcements.finished, [task.0]);
    assert_eq!(
        (b[0].step_name.as_str(), c[0].step_name.as_str()),
        ("b", "c")
    );
    assert_eq!((b[0].attempt, b[0].msg_id), (1, a.msg_id));
    assert_eq!(
        json!(c[0].dependency_results),
        json!({ "b": { "done": "b" } })
    );
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    assert!(world.receive().await.is_empty());
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_several_dependents_one_is_started_and_the_others_go_through_the_queue() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let a = world.start_one().await;

    let b = report(&mut world, &[complete(&a)]).await;

    assert_eq!(b.continued.len(), 1);
    assert_eq!(b.announcements.ready, [task.0]);
    world.assert_healthy().await;
    let c = world.start_one().await;
    assert_eq!(
        (b.continued[0].step_name.as_str(), c.step_name.as_str()),
        ("b", "c")
    );
    let d = report(&mut world, &[complete(&b.continued[0]), complete(&c)]).await;
    assert_eq!(d.continued[0].step_name, "d");
    assert_eq!(d.continued[0].dependency_results.len(), 2);
    world.assert_healthy().await;
    report(&mut world, &[complete(&d.continued[0])]).await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_log_has_the_ends_of_all_parents_before_the_starts_that_they_brought_about() {
    let mut world = World::new().await;
    // What follows a waited for b too, which is followed by something else.
    let crossed: &[(&str, &[&str])] = &[("a", &[]), ("b", &[]), ("c", &["b"]), ("d", &["a", "b"])];
    world.template("crossed", crossed).await;
    world.submit("crossed").await;
    world.claim().await;
    let [a, b] = world.receive().await.try_into().unwrap();

    let started = report(&mut world, &[complete(&a), complete(&b)]).await;

    assert_eq!(started.continued.len(), 2);
    let ends = "select count(*) from tasker.step_transitions where to_state = 'complete'";
    assert_eq!(world.value::<i64>(ends).await, 2);
    let early = "select count(*)
        from tasker.step_transitions child
        join tasker.steps s using (task_uuid, step_no)
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        join tasker.step_transitions parent
          on parent.task_uuid = s.task_uuid and parent.step_no = any(ts.depends_on)
        where child.from_state = 'pending' and parent.to_state = 'complete'
          and (parent.transition_no, parent.part) > (child.transition_no, child.part)";
    assert_eq!(world.value::<i64>(early).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_is_more_urgent_goes_first() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.submit("linear").await;
    let a = world.start_one().await;
    let urgent = world.submit_with("linear", |task| task.priority = 1).await;

    let reported = report(&mut world, &[complete(&a)]).await;

    assert!(reported.continued.is_empty());
    let claimed = world.claim().await;
    assert_eq!(claimed[0].task_uuid, urgent);
    assert_eq!(claimed.len(), 2);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_waits_with_the_same_urgency_does_not_stop_a_chain() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.submit("linear").await;
    let a = world.start_one().await;
    world.submit("linear").await;

    assert_eq!(report(&mut world, &[complete(&a)]).await.continued.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_dependent_whose_handler_the_worker_lacks_goes_through_the_queue() {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "mixed", "version": "1.0.0", "steps": [
                { "name": "a", "handler": "builtin.noop" },
                { "name": "b", "handler": "ruby.only", "depends_on": ["a"] },
            ],
        }))
        .await;
    world.submit("mixed").await;
    let a = world.start_one().await;

    let reported = report(&mut world, &[complete(&a)]).await;

    assert!(reported.continued.is_empty());
    assert_eq!(world.start_one().await.handler, "ruby.only");
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_failure_hands_nothing_on() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let a = world.start_one().await;

    assert!(report(&mut world, &[fail(&a)]).await.continued.is_empty());

    assert_eq!(world.task_state(task).await, TaskState::Error);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_cancelled_task_hands_nothing_on() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let a = world.start_one().await;
    world.operate(task, Action::CancelTask).await;

    assert!(
        report(&mut world, &[complete(&a)])
            .await
            .continued
            .is_empty()
    );

    assert_eq!(world.step_state(task, "b").await, StepState::Cancelled);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_repeated_report_hands_nothing_on_twice_and_tells_again_what_it_handed_on() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.submit("linear").await;
    let a = world.start_one().await;
    let first = report(&mut world, &[complete(&a)]).await.continued;

    let again = report(&mut world, &[complete(&a)]).await;

    let told = |steps: &[ReceivedStep]| {
        let steps = steps.iter();
        let steps = steps.map(|step| (step.id, step.attempt, step.msg_id));
        steps.collect::<Vec<_>>()
    };
    assert_eq!(again.stale, [0]);
    assert_eq!(told(&again.continued), told(&first));
    world.assert_healthy().await;
    report(&mut world, &[complete(&first[0])]).await;
    let too_late = report(&mut world, &[complete(&a)]).await;
    assert!(too_late.continued.is_empty(), "it has ended since");
    world.assert_healthy().await;
}

#[tokio::test]
async fn repeated_reports_of_several_parents_tell_once_of_the_step_that_has_their_message() {
    let mut world = World::new().await;
    world
        .template("triangle", &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])])
        .await;
    world.submit("triangle").await;
    let a = world.start_one().await;
    let b = report(&mut world, &[complete(&a)])
        .await
        .continued
        .remove(0);
    let c = report(&mut world, &[complete(&b)])
        .await
        .continued
        .remove(0);

    let repeated = report(&mut world, &[complete(&a), complete(&b)]).await;

    assert_eq!(repeated.stale, [0, 1]);
    let told = repeated
        .continued
        .iter()
        .map(|step| (step.id, step.receipt));
    assert_eq!(told.collect::<Vec<_>>(), [(c.id, c.receipt)]);
    report(&mut world, &[complete(&c)]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_whose_worker_died_after_it_was_handed_on_comes_back_and_is_fenced() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    let task = world.submit("linear").await;
    let a = world.start_one().await;
    let b = report(&mut world, &[complete(&a)])
        .await
        .continued
        .remove(0);
    world
        .execute("update pgmq.q_worker_test_queue set vt = clock_timestamp() - interval '1 s'")
        .await;

    let expired = world.receive().await.remove(0);

    assert_eq!((expired.step_name.as_str(), expired.attempt), ("b", 1));
    assert_eq!(expired.expired.as_deref(), Some("lease_expired"));
    world.report(&[retry(&expired)]).await;
    assert_eq!(report(&mut world, &[complete(&b)]).await.stale, [0]);
    world.assert_healthy().await;
    world.advance(Duration::from_secs(2)).await;
    readiness::fire_due_timers(&mut world.connection, 10)
        .await
        .unwrap();
    let b = world.start_one().await;
    assert_eq!(b.attempt, 2);
    let c = report(&mut world, &[complete(&b)]).await.continued;
    report(&mut world, &[complete(&c[0])]).await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_with_a_short_timeout_gets_a_lease_of_its_own_length() {
    let mut world = World::new().await;
    world
        .apply(json!({
            "namespace": "test", "name": "short", "version": "1.0.0", "steps": [
                { "name": "a", "handler": "builtin.noop" },
                { "name": "b", "handler": "builtin.noop", "depends_on": ["a"], "timeout_ms": 5000 },
            ],
        }))
        .await;
    world.submit("short").await;
    let a = world.start_one().await;
    report(&mut world, &[complete(&a)]).await;

    let left: f64 = sqlx::query_scalar(
        "select extract(epoch from vt - clock_timestamp())::float8 from pgmq.q_worker_test_queue",
    )
    .fetch_one(&mut world.connection)
    .await
    .unwrap();

    // The timeout and the grace in which its worker reports it.
    assert!((1.0..=6.0).contains(&left), "{left}");
}
