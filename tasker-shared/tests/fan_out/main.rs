//! Outcomes that start several dependents at once: one on the message of the step before it, the others
//! each on a message of its own.

#![allow(clippy::unwrap_used)]

mod bounds;
mod later;
#[path = "../support/mod.rs"]
mod support;
mod troubled_queues;

use serde_json::{Value, json};
use support::{LEASE, WORKER, World, complete};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{
    self, Continuation, Locks, ReceivedStep, ReportOptions, Reported, StepReport,
};

const QUEUE: &str = "worker_test_queue";
const MESSAGES: &str = "select count(*) from pgmq.q_worker_test_queue";
const VISIBLE: &str = "select count(*) from pgmq.q_worker_test_queue where vt <= clock_timestamp()";
/// More than there are dependents anywhere here.
const AMPLE: usize = 100;

/// A template `wide`: so many steps between the first and the last, each with these keys as well.
async fn wide(world: &mut World, width: usize, keys: &Value) {
    let names: Vec<_> = (1..=width).map(|number| format!("s{number:02}")).collect();
    let mut steps = vec![json!({ "name": "first", "handler": "builtin.noop" })];
    for name in &names {
        let mut step = json!({
            "name": name, "handler": "builtin.noop", "depends_on": ["first"],
            "retry": { "max_attempts": 3, "base_ms": 1000, "backoff": "fixed", "jitter": false },
        });
        let keys = keys.as_object().unwrap().clone();
        step.as_object_mut().unwrap().extend(keys);
        steps.push(step);
    }
    steps.push(json!({ "name": "last", "handler": "builtin.noop", "depends_on": names }));
    world
        .apply(json!({
            "namespace": "test", "name": "wide", "version": "1.0.0", "steps": steps,
        }))
        .await;
}

/// A world in which the first step of a task as wide as this runs.
async fn started(width: usize) -> (World, TaskUuid, ReceivedStep) {
    let mut world = World::new().await;
    wide(&mut world, width, &json!({})).await;
    let task = world.submit("wide").await;
    let first = world.start_one().await;
    (world, task, first)
}

async fn try_report(
    world: &mut World,
    reports: &[StepReport],
    room: usize,
    locks: Locks,
) -> Result<Reported, Error> {
    let continuation = Continuation {
        may_continue: vec![true; reports.len()],
        handlers: &["builtin.noop".to_owned()],
        lease: LEASE,
    };
    let options = ReportOptions {
        locks,
        enqueues: true,
        continuation: Some(&continuation),
        room,
        ..ReportOptions::PLAIN
    };
    steps::record_outcomes(&mut world.connection, WORKER, reports, options).await
}

async fn go_on(world: &mut World, reports: &[StepReport], room: usize) -> Reported {
    try_report(world, reports, room, Locks::Wait).await.unwrap()
}

fn names(steps: &[ReceivedStep]) -> Vec<&str> {
    let mut names: Vec<_> = steps.iter().map(|step| step.step_name.as_str()).collect();
    names.sort_unstable();
    names
}

async fn active_steps(world: &mut World) -> Vec<i32> {
    world
        .value("select array_agg(active_steps order by task_uuid) from tasker.tasks")
        .await
}

/// Ends what was started, receives the others, and goes on until the task is complete.
async fn run_to_the_end(world: &mut World, task: TaskUuid, started: Vec<ReceivedStep>) {
    let mut held = started;
    while !held.is_empty() {
        let reports: Vec<_> = held.iter().map(complete).collect();
        let reported = go_on(world, &reports, 1).await;
        assert!(reported.stale.is_empty());
        world.assert_healthy().await;
        held = reported.continued;
        world.claim().await;
        held.extend(world.receive().await);
    }
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    assert_eq!(world.value::<i64>(MESSAGES).await, 0);
}

#[tokio::test]
async fn as_many_dependents_start_as_there_is_room_for() {
    const WIDTH: usize = 5;
    for room in [0, 1, WIDTH - 1, WIDTH + 5] {
        let (mut world, task, first) = started(WIDTH).await;

        let reported = go_on(&mut world, &[complete(&first)], room).await;

        let count = WIDTH.min(1 + room);
        let left = WIDTH - count;
        assert_eq!(reported.continued.len(), count, "{room}");
        assert_eq!(reported.enqueued, left as u64);
        let woken: &[&str] = if left > 0 { &[QUEUE] } else { &[] };
        assert_eq!(reported.announcements.queues, woken);
        assert!(reported.announcements.ready.is_empty());
        let given = json!({ "done": "first" });
        let mut continued = reported.continued.iter();
        assert!(continued.all(|step| (step.attempt, step.receipt) == (1, 1)
            && step.dependency_results["first"] == given));
        assert_eq!(active_steps(&mut world).await, [5]);
        assert_eq!(world.value::<i64>(MESSAGES).await, 5);
        let visible = world.value::<i64>(VISIBLE).await;
        assert_eq!(visible, i64::try_from(left).unwrap());
        world.assert_healthy().await;
        let mut held = reported.continued;
        held.extend(world.receive().await);
        assert_eq!(names(&held), ["s01", "s02", "s03", "s04", "s05"]);
        run_to_the_end(&mut world, task, held).await;
    }
}

#[tokio::test]
async fn each_that_starts_beside_another_has_a_row_of_the_log() {
    let (mut world, _, first) = started(3).await;

    go_on(&mut world, &[complete(&first)], 1).await;

    let rows: Vec<String> = world
        .value(
            "select array_agg(format('%s: %s to %s, started %s', step_no, from_state, to_state,
               coalesce(started_step_no, 0)) order by transition_no)
             from tasker.step_log where step_no > 1 or from_state = 'in_progress'",
        )
        .await;
    assert_eq!(
        rows,
        [
            "1: in_progress to complete, started 2",
            "3: pending to in_progress, started 0",
            "4: pending to enqueued, started 0",
        ]
    );
}

#[tokio::test]
async fn what_waited_for_two_outcomes_of_one_call_starts_after_both_ends() {
    let joins: &[(&str, &[&str])] = &[
        ("a", &[]),
        ("b", &[]),
        ("c", &["a", "b"]),
        ("d", &["a", "b"]),
        ("e", &["a", "b"]),
    ];
    for (room, count) in [(0, 1), (1, 2), (5, 3)] {
        let mut world = World::new().await;
        world.template("joins", joins).await;
        let task = world.submit("joins").await;
        world.claim().await;
        let [a, b] = world.receive().await.try_into().unwrap();

        let reported = go_on(&mut world, &[complete(&a), complete(&b)], room).await;

        assert_eq!(reported.continued.len(), count);
        assert_eq!(reported.enqueued, 3 - count as u64);
        assert_eq!(active_steps(&mut world).await, [3]);
        // One took over the message of the first, and that of the second is gone.
        assert_eq!(world.value::<i64>(MESSAGES).await, 3);
        let early = "select count(*)
            from tasker.step_transitions child
            join tasker.step_transitions parent using (task_uuid)
            where child.step_no > 2 and parent.step_no <= 2 and parent.to_state = 'complete'
              and (parent.transition_no, parent.part) > (child.transition_no, child.part)";
        assert_eq!(world.value::<i64>(early).await, 0);
        world.assert_healthy().await;
        let mut held = reported.continued;
        held.extend(world.receive().await);
        run_to_the_end(&mut world, task, held).await;
    }
}
