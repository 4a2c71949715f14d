//! What there is in Ruby besides what all workers do: the client, the example, threads and processes.

use serde_json::{Value, json};
use tasker_testing::{TaskerBinary, WAIT_TIMEOUT};

use crate::language::{Language, root, ruby_arguments, ruby_program};
use crate::order;
use crate::workflows::{apply, submit, task};
use crate::world::{Role, World};

#[tokio::test]
async fn a_program_in_ruby_submits_tasks_and_waits_for_them() {
    let Some(language) = Language::named("ruby") else {
        return;
    };
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let step = json!({ "name": "a", "handler": "builtin.echo", "input": { "said": "hello" } });
    apply(&world, "client", &json!({ "steps": [step] })).await;
    let step = json!({ "name": "a", "handler": "conformance.late" });
    apply(&world, "waiting", &json!({ "steps": [step] })).await;
    let worker = language.worker(&world, "worker", &[]).await;

    let found = ruby_arguments();
    let mut args: Vec<&str> = found.iter().map(String::as_str).collect();
    args.extend(["-S", "rspec", "--no-color", "--require", "client_spec"]);
    let ran = TaskerBinary::at(ruby_program().unwrap())
        .run(&args, &[("RUBY_TEST_DATABASE", world.url())])
        .await;

    let words = String::from_utf8_lossy(&ran.stdout);
    let all = words.contains("7 examples, 0 failures");
    assert!(
        ran.status.success() && all,
        "{words}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let cancel = "select tasker.cancel_task(task_uuid, 'test') from tasker.tasks
        where state = 'in_progress' or state = 'pending'";
    world.run(cancel).await;
    world.end([orchestrator, worker]).await;
}

#[tokio::test]
async fn the_example_in_ruby_fulfills_an_order() {
    if let Some(language) = Language::named("ruby") {
        let example = root().join("workers/ruby/examples/order_fulfillment.rb");
        order::is_fulfilled(language, example.to_str().unwrap()).await;
    }
}

/// Runs these steps on a worker of one place with the odd handlers, to the end of the task.
async fn run_odd(steps: Value, variables: &[(&str, &str)]) -> Option<(World, [Role; 2], Value)> {
    let language = Language::named("ruby")?;
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let retry = json!({ "max_attempts": 3, "base_ms": 10 });
    let workflow = json!({ "steps": steps, "defaults": { "retry": retry } });
    apply(&world, "odd", &workflow).await;
    let odd = root().join("workers/ruby/spec/odd_handlers.rb");
    let mut all = vec![("REQUIRED", odd.to_str().unwrap())];
    all.extend_from_slice(variables);
    let worker = language.worker(&world, "worker", &all).await;
    let ran = submit(&world, "odd", &json!({})).await;
    world.wait_for_the_end().await;
    let ended = task(&world, ran).await;
    Some((world, [orchestrator, worker], ended))
}

const ONE_PLACE: (&str, &str) = ("TASKER__WORKER__CONCURRENCY", "1");

#[tokio::test]
async fn a_handler_that_ends_its_thread_is_tried_again_on_another() {
    let steps = json!([{ "name": "a", "handler": "odd.kills_its_thread" }]);
    let Some((world, roles, ended)) = run_odd(steps, &[ONE_PLACE]).await else {
        return;
    };

    let step = &ended["steps"]["a"];
    assert_eq!(
        (&step["result"], &step["attempts"]),
        (&json!("alive"), &json!(2))
    );
    world.end(roles).await;
}

#[tokio::test]
async fn a_handler_that_goes_on_after_its_timeout_keeps_its_place() {
    let steps = json!([{ "name": "a", "handler": "odd.outlasts", "timeout_ms": 300 }]);
    let Some((world, roles, ended)) = run_odd(steps, &[ONE_PLACE]).await else {
        return;
    };

    // The second attempt is received when the thread is free, and not timed out in its queue.
    let step = &ended["steps"]["a"];
    assert_eq!(
        (&step["state"], &step["attempts"]),
        (&json!("complete"), &json!(2))
    );
    world.end(roles).await;
}

#[tokio::test]
async fn a_fork_of_a_worker_is_told_that_it_is_none() {
    let steps = json!([{ "name": "a", "handler": "odd.forks" }]);
    let Some((world, roles, ended)) = run_odd(steps, &[]).await else {
        return;
    };

    let told = ended["steps"]["a"]["result"].as_str().unwrap();
    assert!(told.contains("start workers after the fork"), "{told}");
    world.end(roles).await;
}

#[tokio::test]
async fn a_channel_of_one_event_and_many_steps_loses_none_and_costs_no_attempt() {
    let steps: Vec<Value> = (0..200)
        .map(|n| json!({ "name": format!("step_{n}"), "handler": "odd.noop" }))
        .collect();
    let variables = [
        ("TASKER__WORKER__CONCURRENCY", "50"),
        (
            "TASKER__MPSC_CHANNELS__SHARED__FFI__RUBY_EVENT_BUFFER_SIZE",
            "1",
        ),
    ];
    let Some((world, roles, ended)) = run_odd(json!(steps), &variables).await else {
        return;
    };

    assert_eq!(ended["state"], "complete");
    let again = "select count(*) from tasker.steps where attempt <> 1";
    assert_eq!(world.value::<i64>(again).await, 0);
    world.end(roles).await;
}

#[tokio::test]
async fn a_logger_in_ruby_gets_what_the_worker_logs() {
    let steps = json!([{ "name": "a", "handler": "odd.kills_its_thread" }]);
    let Some((world, [orchestrator, mut worker], _)) = run_odd(steps, &[]).await else {
        return;
    };

    let line = worker
        .process
        .wait_for_line("the attempt failed", WAIT_TIMEOUT)
        .await;
    assert!(line.starts_with("LOGGED INFO tasker "), "{line}");
    assert!(line.contains("ended without an outcome"), "{line}");
    world.end([orchestrator, worker]).await;
}
