//! What there is in Python besides its worker: the client and the example.

use std::fs;

use serde_json::json;
use tasker_testing::{TaskerBinary, WAIT_TIMEOUT};

use crate::language::{Language, python_environment, python_program, root};
use crate::workflows::{apply, submit, task};
use crate::world::World;
use tasker_shared::ids::TaskUuid;

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
    let Some(language) = Language::named("python") else {
        return;
    };
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let template = "examples/order_fulfillment/order_with_own_handlers.yaml";
    world
        .apply(&fs::read_to_string(root().join(template)).unwrap())
        .await;
    let variables = [
        ("NAMESPACE", "fulfillment"),
        ("REQUIRED", "order_fulfillment"),
    ];
    let worker = language.worker(&world, "worker", &variables).await;
    let order_task = |context| {
        format!("select tasker.submit_task('fulfillment', 'order_with_own_handlers', '{context}')")
    };
    let order = json!({ "order_id": 7, "items": [{ "sku": "pen", "quantity": 2 }] });
    let good = TaskUuid(world.value(&order_task(order)).await);
    let order = json!({ "order_id": 8, "items": [{ "sku": "unicorn" }] });
    let bad = TaskUuid(world.value(&order_task(order)).await);
    world.wait_for_the_end().await;

    let good = task(&world, good).await;
    assert_eq!(good["state"], "complete");
    let charge = &good["steps"]["charge"];
    assert_eq!(
        (&charge["attempts"], &charge["result"]["charged"]),
        (&json!(2), &json!(7.0))
    );
    assert_eq!(charge["result"]["reference"], charge["step_uuid"]);
    let bad = task(&world, bad).await;
    assert_eq!(bad["steps"]["validate"]["error"]["kind"], "unknown_sku");
    world.end([orchestrator, worker]).await;
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
