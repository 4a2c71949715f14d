//! Steps that follow one another in one worker, while something goes wrong or has to come first.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::cancel_task;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::TaskDetail;
use tasker_testing::{FaultProxy, PATIENCE, TestDatabase, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};
use world::{Gate, World};

/// More than any chain here is long.
const ON: u32 = 16;

/// Three steps in a row, of which the first ends at once and the others when they are let go.
const THEN_GATED: &str = "  - { name: a, handler: builtin.noop }
  - { name: b, handler: gate, depends_on: [a], timeout_ms: 3600000 }
  - { name: c, handler: gate, depends_on: [b], timeout_ms: 3600000 }";

/// Two steps, of which the first ends when it is let go.
const GATED_FIRST: &str = "  - { name: a, handler: gate, timeout_ms: 3600000 }
  - { name: b, handler: gate, depends_on: [a] }";

async fn world(template: &str) -> (World, TaskUuid) {
    let world = World::create().await.with_lease(3600.0);
    let world = world.with_continuation(ON);
    world.template("chain", template).await;
    let task = world.submit("chain", json!({})).await;
    (world, task)
}

/// The moves of the step in this place, in their order.
async fn moves(world: &World, step_no: i32) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s to %s at attempt %s', from_state, to_state, attempt)
         from tasker.step_transitions where step_no = $1 order by transition_no",
    )
    .bind(step_no)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

fn attempts(task: &TaskDetail) -> Vec<i32> {
    task.steps.iter().map(|step| step.attempts).collect()
}

/// Holds the task, and returns once an outcome of it waits to be recorded.
async fn hold_up_the_outcome(
    world: &World,
    task: TaskUuid,
    gate: &Gate,
) -> Transaction<'static, Postgres> {
    let mut transaction = world.pool.begin().await.unwrap();
    sqlx::query("select from tasker.tasks where task_uuid = $1 for update")
        .bind(task.0)
        .execute(&mut *transaction)
        .await
        .unwrap();
    gate.open();
    wait_until("the reporter waits for the task", PATIENCE, async || {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like '%complete_steps%'";
        world.count(waiting).await == 1
    })
    .await;
    transaction
}

async fn slow_at_first(step: Step) -> Result<i32, HandlerError> {
    if step.attempt() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(step.attempt())
}

#[tokio::test]
async fn a_step_that_follows_is_ended_at_its_timeout_and_tried_again_through_the_queue() {
    let (world, task) = world(
        "  - { name: a, handler: builtin.noop }
  - { name: b, handler: slow_at_first, depends_on: [a], timeout_ms: 100 }
  - { name: c, handler: builtin.noop, depends_on: [b] }",
    )
    .await;
    let worker = world.start(Handlers::new().register("slow_at_first", slow_at_first));

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(attempts(&detail), [1, 2, 1]);
    assert_eq!(
        moves(&world, 2).await,
        [
            "pending to in_progress at attempt 1",
            "in_progress to waiting_for_retry at attempt 1",
            "waiting_for_retry to enqueued at attempt 1",
            "enqueued to in_progress at attempt 2",
            "in_progress to complete at attempt 2",
        ]
    );
    let kind = "select count(*) from tasker.step_transitions where error ->> 'kind' = 'timeout'";
    assert_eq!(world.count(kind).await, 1);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_follows_is_told_that_its_task_was_cancelled_and_nothing_comes_after_it() {
    let (world, task) = world(THEN_GATED).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;

    let mut connection = world.pool.acquire().await.unwrap();
    cancel_task(&mut connection, task, "test", None)
        .await
        .unwrap();

    world.wait_for_complete(2).await;
    let detail = world.task(task).await;
    assert_eq!(detail.summary.state, TaskState::Cancelled);
    assert_eq!(detail.steps[1].result, Some(json!("told")));
    assert_eq!(detail.steps[2].state, StepState::Cancelled);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn the_chain_of_a_worker_that_died_is_gone_on_with_by_another() {
    let (mut world, task) = world(THEN_GATED).await;
    // With its one place taken, the dying worker does not receive its own message again.
    world.config.worker.concurrency = 1;
    let (lost, found) = (Gate::new(), Gate::new());
    let dying = world.start_named("dying", lost.handlers());
    world.claim().await;
    lost.wait_for_start().await;
    dying.abort();

    world.expire_leases().await;
    found.open();
    found.open();
    let heir = world.start_named("heir", found.handlers());

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 2, 1]);
    let workers = detail.steps.iter().map(|step| step.worker.as_deref());
    assert_eq!(
        workers.collect::<Vec<_>>(),
        [Some("dying"), Some("heir"), Some("heir")]
    );
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_took_most_of_its_lease_hands_nothing_on() {
    let (world, task) = world(GATED_FIRST).await;
    let world = world.with_lease(1.0);
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;
    world.wait_for_extension().await;

    gate.open();

    world.wait_for_complete(1).await;
    assert_eq!(world.ready_steps().await, 1);
    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_that_waited_for_the_database_longer_than_its_lease_hands_nothing_on() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = proxy.url().to_owned();
    let world = World::at(db, &url).await.with_lease(1.0);
    let world = world.with_continuation(ON);
    world.template("chain", GATED_FIRST).await;
    let task = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;

    proxy.cut();
    gate.open();
    wait_until("the lease has run out", PATIENCE, async || {
        let out = "select count(*) from pgmq.q_worker_shop_queue where vt < clock_timestamp()";
        world.count(out).await == 1
    })
    .await;
    proxy.resume();

    world.wait_for_complete(1).await;
    assert_eq!(world.ready_steps().await, 1);
    gate.open();
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_is_handed_over_while_the_worker_drains_goes_back_unstarted() {
    let (world, task) = world(GATED_FIRST).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    world.claim().await;
    gate.wait_for_start().await;
    let transaction = hold_up_the_outcome(&world, task, &gate).await;

    let mut drain = Box::pin(worker.drain());
    assert!((&mut drain).now_or_never().is_none());
    transaction.commit().await.unwrap();
    let drained = drain.await;

    assert_eq!((drained.interrupted, drained.is_complete), (0, true));
    assert_eq!(gate.started.available_permits(), 0, "the handler started");
    let detail = world.task(task).await;
    assert_eq!(attempts(&detail), [1, 0]);
    assert_eq!(detail.steps[1].state, StepState::Enqueued);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_finds_its_place_taken_goes_back_and_loses_no_attempt() {
    let (mut world, task) = world(GATED_FIRST).await;
    world.config.worker.concurrency = 1;
    world
        .template(
            "long",
            "  - { name: only, handler: long, timeout_ms: 3600000 }",
        )
        .await;
    let (gate, long) = (Gate::new(), Gate::new());
    let worker = {
        let long = long.clone();
        let handlers = gate.handlers();
        world.start(handlers.register("long", move |step: Step| long.clone().pass(step)))
    };
    world.claim().await;
    gate.wait_for_start().await;
    let transaction = hold_up_the_outcome(&world, task, &gate).await;
    // The place is free while the outcome waits, and taken again for as long as it pleases.
    let other = world.submit("long", json!({})).await;
    world.claim().await;
    long.wait_for_start().await;

    transaction.commit().await.unwrap();

    wait_until("the step is back in the queue", PATIENCE, async || {
        world.task(task).await.steps[1].state == StepState::Enqueued
    })
    .await;
    assert_eq!(attempts(&world.task(task).await), [1, 0]);
    long.open();
    gate.open();
    world.run_to(other, TaskState::Complete).await;
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_waits_in_the_queue_has_its_turn_before_a_chain_ends() {
    let mut world = World::create().await.with_continuation(ON);
    world.config.worker.concurrency = 1;
    world
        .template(
            "chain",
            "  - { name: s1, handler: noted }
  - { name: s2, handler: noted, depends_on: [s1] }
  - { name: s3, handler: noted, depends_on: [s2] }
  - { name: s4, handler: noted, depends_on: [s3] }",
        )
        .await;
    world
        .template("other", "  - { name: other, handler: noted }")
        .await;
    let gate = Gate::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let handlers = {
        let (gate, order) = (gate.clone(), Arc::clone(&order));
        Handlers::new().register("noted", move |step: Step| {
            order.lock().unwrap().push(step.name().to_owned());
            gate.clone().pass(step)
        })
    };
    let chain = world.submit("chain", json!({})).await;
    let worker = world.start(handlers);
    world.claim().await;
    gate.wait_for_start().await;
    let other = world.submit("other", json!({})).await;
    world.claim().await;

    gate.open();
    wait_until("the worker has received it", PATIENCE, async || {
        let begun = "select count(*) from tasker.step_transitions t
            join tasker.tasks k using (task_uuid) join tasker.templates p using (template_id)
            where p.name = 'other' and t.to_state = 'in_progress'";
        world.count(begun).await > 0
    })
    .await;
    for _ in 0..4 {
        gate.open();
    }

    world.run_to(other, TaskState::Complete).await;
    world.run_to(chain, TaskState::Complete).await;
    let order = order.lock().unwrap().clone();
    let place = |name| order.iter().position(|noted| noted == name);
    assert!(place("other") < place("s4"), "{order:?}");
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_is_recorded_although_what_follows_is_refused() {
    let (world, task) = world(
        "  - { name: a, handler: count }
  - { name: b, handler: count, depends_on: [a] }",
    )
    .await;
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$
         begin
           if (old.state, new.state) = ('pending', 'in_progress') then
             raise exception 'nothing follows here';
           end if;
           return new;
         end $$;
         create trigger refuse before update on tasker.steps
         for each row execute function refuse();",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let handlers = {
        let runs = Arc::clone(&runs);
        Handlers::new().register("count", move |_: Step| {
            runs.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, HandlerError>(()) }
        })
    };
    let worker = world.start(handlers);

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(attempts(&detail), [1, 1]);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_whose_handing_on_was_never_answered_runs_without_waiting_for_its_lease() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = proxy.url().to_owned();
    let mut world = World::at(db, &url)
        .await
        .with_lease(3600.0)
        .with_continuation(ON);
    world.config.database.call_timeout_ms = 1000;
    world.config.worker.reporters = 1;
    world.database = Database::connect(&world.config.database).await.unwrap();
    world
        .template(
            "chain",
            "  - { name: a, handler: gate, timeout_ms: 3600000 }
  - { name: b, handler: builtin.noop, depends_on: [a], timeout_ms: 3600000 }
  - { name: c, handler: builtin.noop, depends_on: [b] }",
        )
        .await;
    let warm_up = world.submit("chain", json!({})).await;
    let gate = Gate::new();
    let worker = world.start(gate.handlers());
    gate.open();
    world.run_to(warm_up, TaskState::Complete).await;
    gate.wait_for_start().await;
    let task = world.submit("chain", json!({})).await;
    world.claim().await;
    gate.wait_for_start().await;

    proxy.swallow_answers();
    gate.open();
    wait_until("the next step is handed on", PATIENCE, async || {
        world.task(task).await.steps[1].state == StepState::InProgress
    })
    .await;
    proxy.resume();
    proxy.reset();

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(attempts(&detail), [1, 1, 1]);
    worker.drain().await;
    world.assert_sound().await;
}
