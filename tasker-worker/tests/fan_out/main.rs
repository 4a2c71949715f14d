//! Steps that start together in the worker that ended the step before them, without a trip through the
//! queue.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod lost_answers;
#[path = "../world/mod.rs"]
mod world;

use serde_json::json;
use tasker_shared::config::DeploymentMode::EventDrivenOnly;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::RunningWorker;
use world::{Gate, World};

/// More than any chain here is long.
const ON: u32 = 16;
/// Steps between the first and the last.
const WIDTH: i64 = 5;

const STARTED_PAST_THE_QUEUE: &str = "select count(*) from tasker.step_transitions
    where (from_state, to_state) = ('pending', 'in_progress') and step_no between 2 and 6";
const STARTED: &str = "select count(*) from tasker.step_transitions
    where to_state = 'in_progress' and step_no between 2 and 6";

/// A world whose workers look for steps when they are told to, so that they know when there are none.
async fn world(concurrency: usize) -> World {
    let world = World::create().await.with_lease(3600.0);
    let mut world = world.with_continuation(ON).with_mode(EventDrivenOnly);
    world.config.worker.concurrency = concurrency;
    templates(&world).await;
    world
}

/// `wide`: five steps after the first, and one after all of them; each but that waits for the gate.
async fn templates(world: &World) {
    let between = (1..=WIDTH).map(|number| {
        format!(
            "  - {{ name: s{number}, handler: gate, depends_on: [first], timeout_ms: 3600000 }}\n"
        )
    });
    let between: String = between.collect();
    let names = (1..=WIDTH).map(|number| format!("s{number}"));
    let names = names.collect::<Vec<_>>().join(", ");
    let wide = format!(
        "  - {{ name: first, handler: gate, timeout_ms: 3600000 }}\n{between}  \
         - {{ name: last, handler: builtin.noop, depends_on: [{names}] }}"
    );
    world.template("wide", &wide).await;
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
}

/// Runs so many tasks, one after the other: then the worker has heard of all that it hears of when it
/// starts, and each of its reporters has had its turn.
async fn warm_up(world: &World, tasks: usize) {
    for _ in 0..tasks {
        let task = world.submit("one", json!({})).await;
        world.claim().await;
        let complete = async || world.task(task).await.summary.state == TaskState::Complete;
        wait_until("the worker is warm", WAIT_TIMEOUT, complete).await;
    }
}

/// A worker that runs the first step of a wide task, and knows of nothing else.
async fn first_running(world: &World, gate: &Gate) -> (RunningWorker, TaskUuid) {
    running(world, gate, "wide").await
}

async fn running(world: &World, gate: &Gate, template: &str) -> (RunningWorker, TaskUuid) {
    let worker = world.start(gate.handlers());
    warm_up(world, 2).await;
    let task = world.submit(template, json!({})).await;
    world.claim().await;
    gate.wait_for_start().await;
    (worker, task)
}

/// Opens the gate for all that comes, until the task is complete with each step on its first attempt.
async fn run_to_the_end(world: &World, gate: &Gate, task: TaskUuid) {
    for _ in 0..=WIDTH {
        gate.open();
    }
    let detail = world.run_to(task, TaskState::Complete).await;
    assert!(detail.steps.iter().all(|step| step.attempts == 1));
}

#[tokio::test]
async fn a_fan_out_runs_in_the_worker_without_a_receipt() {
    let world = world(10).await;
    let gate = Gate::new();
    let (worker, task) = first_running(&world, &gate).await;

    gate.open();
    for _ in 0..WIDTH {
        gate.wait_for_start().await;
    }

    assert_eq!(world.count(STARTED_PAST_THE_QUEUE).await, WIDTH);
    run_to_the_end(&world, &gate, task).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_worker_starts_what_it_has_places_for_and_another_receives_the_others() {
    let mut world = world(2).await;
    let gate = Gate::new();
    let (worker, task) = first_running(&world, &gate).await;

    gate.open();
    for _ in 0..2 {
        gate.wait_for_start().await;
    }
    assert_eq!(world.count(STARTED).await, 2);
    world.config.worker.concurrency = 10;
    let other = world.start_named("other", gate.handlers());
    for _ in 2..WIDTH {
        gate.wait_for_start().await;
    }

    assert_eq!(world.count(STARTED_PAST_THE_QUEUE).await, 2);
    let detail = world.task(task).await;
    let of = |name: &str| {
        let between = detail.steps[1..=5].iter();
        between
            .filter(|step| step.worker.as_deref() == Some(name))
            .count()
    };
    assert_eq!((of("worker-1"), of("other")), (2, 3));
    run_to_the_end(&world, &gate, task).await;
    for worker in [worker, other] {
        worker.drain().await;
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn while_a_step_waits_in_the_queue_one_follows_and_the_others_take_their_turn_there() {
    let world = world(10).await;
    let waiting = world.submit("wide", json!({})).await;
    world.claim().await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select from tasker.steps where task_uuid = $1 for update")
        .bind(waiting.0)
        .execute(&mut *holder)
        .await
        .unwrap();
    let gate = Gate::new();
    let (worker, task) = first_running(&world, &gate).await;

    gate.open();
    for _ in 0..WIDTH {
        gate.wait_for_start().await;
    }

    assert_eq!(world.count(STARTED_PAST_THE_QUEUE).await, 1);
    holder.rollback().await.unwrap();
    run_to_the_end(&world, &gate, task).await;
    gate.wait_for_start().await;
    run_to_the_end(&world, &gate, waiting).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn continuation_that_is_off_starts_none() {
    let world = world(10).await.with_continuation(0);
    let gate = Gate::new();
    let (worker, task) = first_running(&world, &gate).await;

    gate.open();
    for _ in 0..WIDTH {
        gate.wait_for_start().await;
    }

    assert_eq!(world.count(STARTED_PAST_THE_QUEUE).await, 0);
    run_to_the_end(&world, &gate, task).await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn steps_of_a_worker_that_died_are_run_by_another() {
    let mut world = world(6).await;
    let gate = Gate::new();
    let (dying, task) = first_running(&world, &gate).await;
    gate.open();
    for _ in 0..WIDTH {
        gate.wait_for_start().await;
    }

    dying.abort();
    world.config.worker.concurrency = 10;
    world.expire_leases().await;
    let found = Gate::new();
    for _ in 0..WIDTH {
        found.open();
    }
    let heir = world.start_named("heir", found.handlers());

    let detail = world.run_to(task, TaskState::Complete).await;
    let attempts = detail.steps[1..=5].iter().map(|step| step.attempts);
    assert_eq!(attempts.collect::<Vec<_>>(), [2; 5]);
    assert_eq!(detail.steps[6].state, StepState::Complete);
    heir.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_that_started_beside_another_counts_the_steps_before_it() {
    let world = world(10).await.with_continuation(2);
    let steps = [
        ("a", "[]"),
        ("b", "[a]"),
        ("c", "[b]"),
        ("d", "[b]"),
        ("e", "[c, d]"),
    ];
    let steps = steps.map(|(name, depends_on)| {
        format!("  - {{ name: {name}, handler: gate, depends_on: {depends_on} }}\n")
    });
    world.template("deep", &steps.concat()).await;
    let gate = Gate::new();
    let (worker, task) = running(&world, &gate, "deep").await;

    for starts in [1, 2] {
        gate.open();
        for _ in 0..starts {
            gate.wait_for_start().await;
        }
    }
    run_to_the_end(&world, &gate, task).await;

    let past_the_queue = "select array_agg(step_no order by step_no) from tasker.step_transitions
        where (from_state, to_state) = ('pending', 'in_progress')";
    let past_the_queue: Vec<i32> = sqlx::query_scalar(past_the_queue)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(past_the_queue, [2, 3, 4]);
    worker.drain().await;
    world.assert_sound().await;
}
