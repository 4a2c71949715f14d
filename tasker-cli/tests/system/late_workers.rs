//! Steps whose handler no worker knows yet: they wait as long as it takes, lists show it, and they
//! run when a worker that knows the handler comes up.

use serde_json::{Value, json};
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{HandlerError, Handlers, Step};

use super::own_workers::OwnWorker;
use super::templates::LINEAR;
use super::world::{NAMESPACE, World, get, printed};

/// A step that only a late worker can run, between two that every worker can.
const LATE: &str = "\
namespace: graphs
name: late
version: 1.0.0
steps:
  - { name: first, handler: builtin.noop }
  - { name: late, handler: late.one, depends_on: [first] }
  - { name: last, handler: builtin.noop, depends_on: [late] }
";

/// A step that nobody ever can run.
const UNKNOWN: &str = "\
namespace: graphs
name: unknown
version: 1.0.0
steps:
  - { name: only, handler: nobody.has_it }
";

/// Steps that nobody can run; half of them more urgent than what can be run, half of them less.
const WAITING: usize = 100_000;
/// Tasks of which all steps can be run.
const ORDINARY: usize = 500;

async fn late(step: Step) -> Result<Value, HandlerError> {
    Ok(json!({ "attempt": step.attempt() }))
}

#[tokio::test]
async fn a_step_that_nobody_knows_waits_visibly_and_runs_when_somebody_does() {
    let world = World::start().await;
    world.apply(LATE).await;
    let orchestrator = world.orchestrator(&[]).await;
    let stranger = world.worker(&[]).await;
    let task = world.submit("late", 1).await[0];
    let waits = "select count(*) = 1 from tasker.steps where step_no = 2 and state = 'enqueued'";
    world.wait_for("the step waits", waits).await;

    let shown = format!("/v1/tasks/{task}");
    let shown = get(&orchestrator, &shown).await;
    assert_eq!(shown["steps"][1]["waits_for"], "worker_for_handler");
    assert_eq!(shown["steps"][1]["attempts"], 0);
    let listed = printed(&world, &["task", "list"]).await;
    assert_eq!(listed["tasks"][0]["waits_for"], "worker_for_handler");
    let queues = get(&orchestrator, "/v1/queues").await;
    let missing = json!([{ "handler": "late.one", "steps": 1 }]);
    assert_eq!(queues["queues"][0]["without_worker"], missing);
    assert_eq!(queues["queues"][0]["workers"], 1);
    let doctor = printed(&world, &["doctor"]).await;
    assert_eq!(doctor["warnings"][0]["handler"], "late.one");
    let processes = printed(&world, &["processes"]).await;
    let roles = processes["processes"].as_array().unwrap().iter();
    let roles: Vec<_> = roles.map(|process| process["role"].clone()).collect();
    assert_eq!(roles, ["orchestrator", "worker"]);
    wait_until("the metric tells of the step", WAIT_TIMEOUT, async || {
        let label = r#"handler="late.one""#;
        orchestrator
            .metric("tasker_steps_without_worker", label)
            .await
            == 1
    })
    .await;

    let handlers = Handlers::new().register("late.one", late);
    let knowing = OwnWorker::start(&world, "knowing", handlers).await;
    world.wait_for_the_end().await;
    world.assert_complete(1).await;
    let results: Vec<Value> = world
        .values("select result from tasker.steps where step_no = 2")
        .await;
    assert_eq!(results, [json!({ "attempt": 1 })], "waiting is no attempt");
    let moves: Vec<String> = world
        .values(
            "select to_state::text from tasker.step_transitions where step_no = 2
             order by transition_no",
        )
        .await;
    assert_eq!(moves, ["enqueued", "in_progress", "complete"]);
    let shown = printed(&world, &["task", "show", &task.to_string()]).await;
    assert_eq!(shown["waits_for"], json!(null));

    knowing.stop().await;
    world.end([orchestrator, stranger]).await;
}

/// Submits so many tasks of this priority, and waits until their steps are in the queue.
async fn enqueue_unknown(world: &World, count: usize, priority: i32) {
    let task = NewTask {
        namespace: NAMESPACE.to_owned(),
        name: "unknown".to_owned(),
        version: None,
        context: json!({}),
        priority,
        idempotency_key: None,
        on_conflict: OnConflict::Existing,
    };
    let mut connection = world.pool().acquire().await.unwrap();
    submit_tasks(&mut connection, &vec![task; count])
        .await
        .unwrap();
    drop(connection);
    let all = "select not exists (select from tasker.ready_steps)";
    world.wait_for("all are enqueued", all).await;
}

#[tokio::test]
async fn a_hundred_thousand_steps_that_nobody_knows_are_not_touched_by_what_goes_past_them() {
    let world = World::start_alone().await;
    world.apply(UNKNOWN).await;
    world.apply(LINEAR).await;
    let roles = [
        world.orchestrator(&[]).await,
        world.worker(&[]).await,
        world.worker(&[]).await,
    ];
    enqueue_unknown(&world, WAITING / 2, 5).await;
    enqueue_unknown(&world, WAITING / 2, -5).await;

    world.submit("linear", ORDINARY).await;

    let complete = format!(
        "select count(*) = {ORDINARY} from tasker.tasks t
         join tasker.templates p using (template_id)
         where p.name = 'linear' and t.state = 'complete'"
    );
    world.wait_for("what can be run has ended", &complete).await;
    let untouched: i64 = world
        .value(
            "select count(*) from pgmq.q_worker_graphs_queue
             where message ->> 'handler' = 'nobody.has_it' and read_ct = 0",
        )
        .await;
    assert_eq!(usize::try_from(untouched).unwrap(), WAITING);
    let attempts: Vec<i32> = world
        .values("select distinct attempt from tasker.steps where state = 'complete'")
        .await;
    assert_eq!(attempts, [1]);
    world.assert_order().await;
    world.end(roles).await;
}
