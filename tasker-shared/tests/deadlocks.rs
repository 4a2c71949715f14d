//! Locks are taken in one order (ready rows, tasks by uuid, steps, messages) or not waited for, so
//! that calls which overlap never deadlock.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use support::{DIAMOND, LEASE, SINGLE, WORKER, World, complete, error, new_task, report};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, Continuation, ReceivedStep, ReleasedStep, StepOutcome};
use tasker_shared::tasks;

fn release(step: &ReceivedStep, refused: bool) -> ReleasedStep {
    ReleasedStep {
        id: step.id,
        attempt: step.attempt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        refused,
    }
}

/// Passes refusals, which are answers; a deadlock is none.
fn answered(result: Result<(), Error>) {
    if let Err(error) = result {
        assert!(error.refusal().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_task_is_cancelled_while_its_first_step_is_claimed() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut first = world.begin().await;
    readiness::claim_ready_tasks(&mut first, "o-1", 10)
        .await
        .unwrap();

    let cancel = world
        .start_blocked(async move |mut connection| {
            operator::cancel_task(&mut connection, task, "me", None).await
        })
        .await;
    first.commit().await.unwrap();

    cancel.await.unwrap().unwrap();
    assert!(world.receive().await.is_empty());
    assert_eq!(world.task_state(task).await, TaskState::Cancelled);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_claim_that_waits_for_a_task_which_is_cancelled_takes_the_others() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let other = world.submit("single").await;
    let mut first = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for no key update")
        .bind(task)
        .execute(&mut *first)
        .await
        .unwrap();
    let claim = world
        .start_blocked(async |mut connection| {
            readiness::claim_ready_tasks(&mut connection, "o-1", 10)
                .await
                .unwrap()
        })
        .await;

    // The claim holds the ready row by now: cancelling must not wait for it.
    operator::cancel_task(&mut first, task, "me", None)
        .await
        .unwrap();
    first.commit().await.unwrap();

    let claimed = claim.await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].task_uuid, other);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_claim_that_waits_for_a_task_whose_step_is_skipped_finds_its_row_void() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut first = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for no key update")
        .bind(task)
        .execute(&mut *first)
        .await
        .unwrap();
    let claim = world
        .start_blocked(async |mut connection| {
            readiness::claim_ready_tasks(&mut connection, "o-1", 10)
                .await
                .unwrap()
        })
        .await;

    operator::settle_step(
        &mut first,
        task,
        "only",
        &Settlement::Skip(json!(null)),
        "me",
        None,
    )
    .await
    .unwrap();
    first.commit().await.unwrap();

    assert!(claim.await.unwrap().is_empty());
    let rows: i64 = world.value("select count(*) from tasker.ready_steps").await;
    assert_eq!(rows, 0);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

/// Two running steps in the order of their messages: one with a long, one with a short timeout.
async fn with_two_timeouts(world: &mut World) -> Vec<ReceivedStep> {
    world
        .apply(json!({
            "namespace": "test", "name": "two", "version": "1.0.0",
            "steps": [
                { "name": "long", "handler": "h", "timeout_ms": 600_000 },
                { "name": "short", "handler": "h", "timeout_ms": 5_000 },
            ],
        }))
        .await;
    world.submit("two").await;
    world.claim().await;
    let mut running = world.receive().await;
    running.sort_by_key(|step| step.msg_id);
    assert_eq!(running[0].step_name, "long");
    running
}

#[tokio::test]
async fn a_heartbeat_and_the_outcomes_of_the_same_steps_do_not_deadlock() {
    let mut world = World::new().await;
    let running = with_two_timeouts(&mut world).await;
    let mut first = world.begin().await;
    sqlx::query("select from pgmq.q_worker_test_queue where msg_id = $1 for update")
        .bind(running[1].msg_id)
        .execute(&mut *first)
        .await
        .unwrap();

    let held = running
        .iter()
        .map(|step| (step.id, step.attempt))
        .collect::<Vec<_>>();
    let heartbeat = world
        .start_blocked(async move |mut connection| {
            steps::extend_leases(&mut connection, WORKER, &held, LEASE).await
        })
        .await;
    let reports = running.iter().map(complete).collect::<Vec<_>>();
    let outcomes = world
        .start_blocked(async move |mut connection| {
            steps::complete_steps(&mut connection, WORKER, &reports).await
        })
        .await;
    first.commit().await.unwrap();

    assert_eq!(heartbeat.await.unwrap().unwrap(), []);
    assert_eq!(outcomes.await.unwrap().unwrap().stale, Vec::<usize>::new());
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_heartbeat_does_not_wait_for_outcomes_that_are_being_recorded() {
    let mut world = World::new().await;
    let running = with_two_timeouts(&mut world).await;
    let mut first = world.begin().await;
    steps::complete_steps(&mut first, WORKER, &[complete(&running[0])])
        .await
        .unwrap();

    let held = running
        .iter()
        .map(|step| (step.id, step.attempt))
        .collect::<Vec<_>>();
    world.run("set lock_timeout = '20 s'").await;
    let lost = steps::extend_leases(&mut world.connection, WORKER, &held, LEASE)
        .await
        .unwrap();
    first.commit().await.unwrap();

    assert_eq!(lost, [], "until it is committed the attempt is current");
    world.assert_healthy().await;
}

#[tokio::test]
async fn batches_that_name_the_same_tasks_in_another_order_do_not_deadlock() {
    let mut world = World::new().await;
    world.template("roots", &[("a", &[]), ("b", &[])]).await;
    for _ in 0..20 {
        world.submit("roots").await;
    }
    world.claim().await;
    let running = world.receive().await;
    let mut forwards = running
        .iter()
        .filter(|step| step.step_name == "a")
        .map(complete)
        .collect::<Vec<_>>();
    let mut backwards = running
        .iter()
        .filter(|step| step.step_name == "b")
        .map(complete)
        .collect::<Vec<_>>();
    forwards.sort_by_key(|report| report.id);
    backwards.sort_by_key(|report| std::cmp::Reverse(report.id));
    // Both wait at the same task in the middle, each with what it locked before it.
    let mut first = world.begin().await;
    sqlx::query("select from tasker.tasks where task_uuid = $1 for no key update")
        .bind(forwards[10].id.task_uuid)
        .execute(&mut *first)
        .await
        .unwrap();
    let mut calls = Vec::new();
    for reports in [forwards, backwards] {
        let call = world
            .start_blocked(async move |mut connection| {
                steps::complete_steps(&mut connection, WORKER, &reports).await
            })
            .await;
        calls.push(call);
    }

    first.commit().await.unwrap();

    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().stale, Vec::<usize>::new());
    }
    let complete: i64 = world
        .value("select count(*) from tasker.tasks where state = 'complete'")
        .await;
    assert_eq!(complete, 20);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_batches_with_the_same_keys_in_another_order_do_not_deadlock() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let keyed = |key: &str| {
        let mut task = new_task("single");
        task.idempotency_key = Some(key.to_owned());
        task
    };
    let batch = ["a", "b", "c"].map(keyed).to_vec();
    let mut reversed = batch.clone();
    reversed.reverse();
    let mut first = world.begin().await;
    tasks::submit_tasks(&mut first, &[keyed("b")])
        .await
        .unwrap();
    let mut calls = Vec::new();
    for batch in [batch, reversed] {
        let call = world
            .start_blocked(async move |mut connection| {
                tasks::submit_tasks(&mut connection, &batch).await
            })
            .await;
        calls.push(call);
    }

    first.rollback().await.unwrap();

    let mut created = 0;
    for call in calls {
        let submitted = call.await.unwrap().unwrap();
        created += submitted.iter().filter(|task| task.created).count();
    }
    assert_eq!(created, 3);
    assert_eq!(world.claim().await.len(), 3);
    world.assert_healthy().await;
}

/// Claims until nothing is ready, in small batches.
async fn claim_all(mut connection: PgConnection, processor: String) -> i32 {
    let mut claimed = 0;
    loop {
        let tasks = readiness::claim_ready_tasks(&mut connection, &processor, 7)
            .await
            .unwrap();
        let left: bool = sqlx::query_scalar("select exists (select from tasker.ready_steps)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if tasks.is_empty() && !left {
            return claimed;
        }
        claimed += tasks.iter().map(|task| task.ready_steps).sum::<i32>();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_orchestrators_claim_each_of_many_steps_once() {
    let mut world = World::new().await;
    world.template("roots", &[("a", &[]), ("b", &[])]).await;
    tasks::submit_tasks(&mut world.connection, &vec![new_task("roots"); 300])
        .await
        .unwrap();

    let mut claims = Vec::new();
    for processor in 0..4 {
        let connection = world.db.connect().await;
        claims.push(tokio::spawn(claim_all(connection, processor.to_string())));
    }
    let mut claimed = 0;
    for claim in claims {
        claimed += claim.await.unwrap();
    }

    assert_eq!(claimed, 600);
    let moves: i64 = world
        .value("select count(*) from tasker.step_transitions")
        .await;
    assert_eq!(moves, 600);
    let messages: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!(messages, 600);
    world.assert_healthy().await;
}

/// What one of the many does at random until every task has ended.
struct Actor {
    name: String,
    connection: PgConnection,
    random: fastrand::Rng,
    held: Vec<ReceivedStep>,
}

impl Actor {
    async fn orchestrate(&mut self) {
        let limit = self.random.i32(1..40);
        readiness::claim_ready_tasks(&mut self.connection, &self.name, limit)
            .await
            .unwrap();
        readiness::fire_due_timers(&mut self.connection, limit)
            .await
            .unwrap();
    }

    async fn work(&mut self) {
        let namespaces = ["test".to_owned()];
        let limit = self.random.i32(1..40);
        let received =
            steps::receive_steps(&mut self.connection, &namespaces, &self.name, limit, LEASE)
                .await
                .unwrap();
        self.held.extend(received);
        let mut batch = std::mem::take(&mut self.held);
        self.random.shuffle(&mut batch);
        let running = batch
            .iter()
            .map(|step| (step.id, step.attempt))
            .collect::<Vec<_>>();
        steps::extend_leases(&mut self.connection, &self.name, &running, LEASE)
            .await
            .unwrap();
        self.held = batch.split_off(batch.len().div_ceil(2));
        let (back, done): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|_| self.random.u8(..) < 20);
        let back = back
            .iter()
            .map(|step| release(step, self.random.bool()))
            .collect::<Vec<_>>();
        steps::release_steps(&mut self.connection, &self.name, &back, Duration::ZERO, 3)
            .await
            .unwrap();
        let reports = done
            .iter()
            .map(|step| {
                let outcome = match self.random.u8(..) {
                    0..20 => StepOutcome::Fail(error()),
                    20..50 => StepOutcome::Retry {
                        error: error(),
                        after: Some(Duration::ZERO),
                    },
                    _ => StepOutcome::Complete(json!(1)),
                };
                report(step, outcome)
            })
            .collect::<Vec<_>>();
        let continuation = Continuation {
            may_continue: reports.iter().map(|_| self.random.bool()).collect(),
            handlers: &["builtin.noop".to_owned()],
            lease: LEASE,
        };
        let reported =
            steps::complete_and_continue(&mut self.connection, &self.name, &reports, &continuation)
                .await
                .unwrap();
        assert_eq!(reported.stale, Vec::<usize>::new(), "no lease ran out");
        self.held.extend(reported.continued);
    }

    async fn operate(&mut self, tasks: &[TaskUuid]) {
        let task = tasks[self.random.usize(..tasks.len())];
        let step = DIAMOND[self.random.usize(..DIAMOND.len())].0;
        let skip = Settlement::Skip(json!(null));
        let connection = &mut self.connection;
        answered(match self.random.u8(..5) {
            0 => operator::cancel_task(connection, task, "me", None).await,
            1 => operator::settle_step(connection, task, step, &skip, "me", None).await,
            2 => operator::resolve_task(connection, task, "me", None).await,
            _ => operator::retry_step(connection, task, step, "me", None).await,
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_batches_of_everybody_never_deadlock_and_end_every_task() {
    const TASKS: usize = 200;
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let submitted = tasks::submit_tasks(&mut world.connection, &vec![new_task("diamond"); TASKS])
        .await
        .unwrap();
    let all = submitted
        .iter()
        .map(|task| task.task_uuid)
        .collect::<Vec<_>>();
    let ended = AtomicUsize::new(0);
    let mut actors = Vec::new();
    for number in 0..6 {
        actors.push(Actor {
            name: format!("actor-{number}"),
            connection: world.db.connect().await,
            random: fastrand::Rng::with_seed(number),
            held: Vec::new(),
        });
    }

    let loops = actors
        .into_iter()
        .enumerate()
        .map(async |(number, mut actor)| {
            while ended.load(Relaxed) < TASKS {
                match number {
                    0 | 1 => actor.orchestrate().await,
                    2 | 3 => actor.work().await,
                    // Operators stop early, so that what they revive comes to an end too.
                    4 if ended.load(Relaxed) < TASKS / 2 => actor.operate(&all).await,
                    _ => {
                        let done = tasks::ended_tasks(&mut actor.connection, &all).await;
                        ended.fetch_max(done.unwrap().len(), Relaxed);
                    }
                }
            }
        });
    join_all(loops).await;

    world.assert_healthy().await;
    let deadlocks: i64 = world
        .value("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
}
