//! Writes what a release adds to the repository: a dump of its database with work in every state,
//! and the names of the functions that its programs call.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tasker_shared::ids::TaskUuid;
use tasker_shared::steps::{self, Continuation, ReceivedStep};
use tasker_testing::releases_folder;

use crate::support::{DIAMOND, LEASE, SINGLE, WORKER, World, complete, fail, retry};

const LINEAR: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];

#[tokio::test]
#[ignore = "writes files: `make release-dump`"]
async fn the_dump_of_this_release_is_written() {
    let mut world = World::new().await;
    fill(&mut world).await;
    let file = releases_folder().join(concat!(env!("CARGO_PKG_VERSION"), ".sql"));
    fs::write(&file, world.db.content().await).unwrap();
    // What users call, in any language, and then what our programs call.
    let of_users = ["submit_task", "get_task_execution_context"];
    let mut calls = BTreeSet::from(of_users.map(str::to_owned));
    note_calls(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut calls,
    );
    let calls = calls.into_iter().map(|call| call + "\n");
    fs::write(file.with_extension("calls"), calls.collect::<String>()).unwrap();
}

/// Makes a task for each state of tasks and steps; its idempotency key says which. What is left
/// undone comes last, because every claim takes all that is ready.
async fn fill(world: &mut World) {
    world.template("single", SINGLE).await;
    world.template("diamond", DIAMOND).await;
    world.template("linear", LINEAR).await;

    submit(world, "diamond", "complete").await;
    world.run_all().await;

    for key in ["error", "resolved_manually"] {
        let task = submit(world, "single", key).await;
        let step = world.start_one().await;
        world.report(&[fail(&step)]).await;
        if key == "resolved_manually" {
            operate(world, "resolve_task", task, "").await;
        }
    }

    let task = submit(world, "single", "cancelled").await;
    operate(world, "cancel_task", task, "").await;

    let task = submit(world, "diamond", "settled").await;
    operate(world, "settle_step", task, "'a', 'skipped', null, ").await;
    world.claim().await;
    let received = world.receive().await;
    world
        .report(&[fail(&received[0]), complete(&received[1])])
        .await;
    let failed = format!("'{}', 'resolved_manually', '7', ", received[0].step_name);
    operate(world, "settle_step", task, &failed).await;
    world.run_all().await;

    submit(world, "single", "waiting_for_retry").await;
    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;

    submit(world, "diamond", "failed_in_part").await;
    let step = world.start_one().await;
    world.report(&[complete(&step)]).await;
    world.claim().await;
    let received = world.receive().await;
    world.report(&[fail(&received[0])]).await;

    submit(world, "single", "in_progress").await;
    world.start_one().await;

    let task = submit(world, "single", "cancelled_in_progress").await;
    world.start_one().await;
    operate(world, "cancel_task", task, "").await;

    submit(world, "linear", "handed_on").await;
    let step = world.start_one().await;
    hand_on(world, &step).await;

    submit(world, "single", "enqueued").await;
    world.claim().await;

    submit(world, "single", "pending").await;
    world
        .run(format!(
            "select tasker.register_process(gen_random_uuid(), '{WORKER}', 'worker', 'host', 1,
              '{version}', 'Hybrid', '{{}}', '{{builtin.noop}}', 10, 3, 1000);
            select tasker.register_process(gen_random_uuid(), 'orchestrator-1', 'orchestrator',
              'host', 2, '{version}', 'Hybrid', '{{}}', '{{}}', null, null, 1000)",
            version = env!("CARGO_PKG_VERSION"),
        ))
        .await;
}

async fn submit(world: &mut World, template: &str, key: &str) -> TaskUuid {
    let with_key = |task: &mut tasker_shared::tasks::NewTask| {
        task.idempotency_key = Some(key.to_owned());
        task.priority = i32::from(key == "enqueued");
    };
    world.submit_with(template, with_key).await
}

/// Calls a function of operators, with the arguments between the task and the actor.
async fn operate(world: &mut World, function: &str, task: TaskUuid, args: &str) {
    let call = format!("select tasker.{function}('{}', {args}'operator')", task.0);
    world.run(call).await;
}

async fn hand_on(world: &mut World, step: &ReceivedStep) {
    let continuation = Continuation {
        may_continue: vec![true],
        handlers: &["builtin.noop".to_owned()],
        lease: LEASE,
    };
    let reports = [complete(step)];
    let locks = steps::Locks::Wait;
    let connection = &mut world.connection;
    let reported =
        steps::complete_and_continue(connection, WORKER, &reports, &continuation, locks).await;
    assert_eq!(reported.unwrap().continued.len(), 1);
}

/// The names of functions that stand in the sources as `tasker.NAME(`.
fn note_calls(folder: &Path, calls: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            note_calls(&path, calls);
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for part in source.split("tasker.").skip(1) {
            let is_of_a_name = |c: char| c.is_ascii_lowercase() || c == '_';
            let name = part.split(|c| !is_of_a_name(c)).next().unwrap_or_default();
            if !name.is_empty() && part[name.len()..].starts_with('(') {
                calls.insert(name.to_owned());
            }
        }
    }
}
