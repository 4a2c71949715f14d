//! What there is in Python besides its worker: the client and the example.

use serde_json::json;
use tasker_testing::{TaskerBinary, WAIT_TIMEOUT};

use crate::language::{Language, python_environment, python_program};
use crate::order;
use crate::workflows::{apply, submit};
use crate::world::World;

#[tokio::test]
async fn a_program_in_python_submits_tasks_and_waits_for_them() {
    let Some(language) = Language::named("python") else {
        return;
    };
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let step = json!({ "name": "a", "handler": "builtin.echo", "input": { "said": "hello" } });
    apply(&world, "client", &json!({ "steps": [step] })).await;
    let step = json!({ "name": "a", "handler": "conformance.late" });
    apply(&world, "waiting", &json!({ "steps": [step] })).await;
    let worker = language.worker(&world, "worker", &[]).await;

    let path = python_environment();
    let environment = [
        ("TASKER_PYTHON_TEST_DATABASE", world.url()),
        ("PYTHONPATH", path.as_str()),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let tests = TaskerBinary::at(python_program().unwrap());
    let ran = tests
        .run(&["-m", "unittest", "-v", "test_client"], &environment)
        .await;

    let words = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && !words.contains("skipped"),
        "{words}"
    );
    let cancel = "select tasker.cancel_task(task_uuid, 'test') from tasker.tasks
        where state = 'in_progress' or state = 'pending'";
    world.run(cancel).await;
    world.end([orchestrator, worker]).await;
}

#[tokio::test]
async fn the_example_in_python_fulfills_an_order() {
    if let Some(language) = Language::named("python") {
        order::is_fulfilled(language, "order_fulfillment").await;
    }
}

#[tokio::test]
async fn the_worker_runs_where_its_protocol_is_spoken_and_says_so_where_it_is_not() {
    let Some(language) = Language::named("python") else {
        return;
    };
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let answer = "create or replace function tasker.worker_protocol(out newest int, out oldest int)
        language sql as 'select 3, 2'";
    world.run(answer).await;
    let mut refused = language.spawn(&[("DATABASE_URL", world.url())]);
    let status = refused.wait(WAIT_TIMEOUT).await;
    assert_eq!(status.code(), Some(2));
    let words = refused.output();
    assert!(words.contains("use a newer worker"), "{words}");

    // As in a database of tasker 0.1.0.
    world.run("drop function tasker.worker_protocol()").await;
    let worker = language.worker(&world, "worker", &[]).await;
    apply(
        &world,
        "one",
        &json!({ "steps": [{ "name": "a", "handler": "builtin.noop" }] }),
    )
    .await;
    submit(&world, "one", &json!({})).await;
    world.wait_for_the_end().await;
    world.assert_complete(1).await;
    world.end([orchestrator, worker]).await;
}
