//! What happens to the process of a worker while it has steps in hand.

use nix::sys::signal::Signal;
use serde_json::json;
use tasker_testing::{FaultProxy, WAIT_TIMEOUT};

use crate::language::Language;
use crate::workflows::{apply, submit, task};
use crate::world::World;

/// A lost worker is noticed soon.
const SHORT_LEASE: (&str, &str) = ("TASKER__WORKER__LEASE_SECONDS", "2");
/// What a worker forgets waits for longer than any test.
const LONG_LEASE: (&str, &str) = ("TASKER__WORKER__LEASE_SECONDS", "3600");
const ONE_PLACE: (&str, &str) = ("TASKER__WORKER__CONCURRENCY", "1");

/// A template of one step.
async fn single(world: &World, name: &str, step: serde_json::Value) {
    apply(world, name, &json!({ "steps": [step] })).await;
}

async fn wait_until_running(world: &World, worker: &str, steps: usize) {
    let sql = format!(
        "select count(*) = {steps} from tasker.steps
         where state = 'in_progress' and worker = '{worker}'"
    );
    world
        .wait_for(&format!("{worker} runs {steps} steps"), &sql)
        .await;
}

/// Says how many steps each worker completed, and at which attempt.
async fn assert_shares(world: &World, expected: &[&str]) {
    let shares: Vec<String> = world
        .values(
            "select format('%s: %s at attempt %s', worker, count(*), attempt)
             from tasker.steps where state = 'complete' group by worker, attempt order by 1",
        )
        .await;
    assert_eq!(shares, expected);
}

pub(crate) async fn a_step_whose_handler_nobody_knows_waits_and_costs_no_attempt(
    language: Language,
) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let steps = json!([
        { "name": "unknown", "handler": "conformance.late" },
        { "name": "known", "handler": "builtin.noop" },
    ]);
    apply(&world, "late", &json!({ "steps": steps })).await;
    let waiting = submit(&world, "late", &json!({})).await;
    let first = language.worker(&world, "first", &[LONG_LEASE]).await;
    world
        .wait_for(
            "the known step is complete",
            "select exists(select from tasker.steps where state = 'complete')",
        )
        .await;
    let step = task(&world, waiting).await["steps"]["unknown"].clone();
    assert_eq!(
        (&step["state"], &step["attempts"]),
        (&json!("enqueued"), &json!(0))
    );
    assert_eq!(step["waits_for"], json!("worker_for_handler"));

    let late = [LONG_LEASE, ("CONFORMANCE_LATE", "1")];
    let second = language.worker(&world, "second", &late).await;
    world.wait_for_the_end().await;

    let step = task(&world, waiting).await["steps"]["unknown"].clone();
    assert_eq!(
        (&step["result"], &step["attempts"]),
        (&json!("late"), &json!(1))
    );
    world.end([orchestrator, first, second]).await;
}

pub(crate) async fn a_worker_that_drains_ends_what_it_runs_and_leaves_the_rest(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let step = json!({ "name": "only", "handler": "builtin.sleep", "input": { "ms": 1500 } });
    single(&world, "sleep", step).await;
    for _ in 0..3 {
        submit(&world, "sleep", &json!({})).await;
    }
    let mut leaving = language
        .worker(&world, "leaving", &[LONG_LEASE, ONE_PLACE])
        .await;
    wait_until_running(&world, "leaving", 1).await;

    let status = leaving.process.terminate(WAIT_TIMEOUT).await;

    assert_eq!(status.code(), Some(0), "{}", leaving.process.output());
    let held = "select count(*) from tasker.steps where state = 'in_progress'";
    assert_eq!(
        world.value::<i64>(held).await,
        0,
        "it left steps in its hands"
    );
    let staying = language
        .another()
        .worker(&world, "staying", &[LONG_LEASE])
        .await;
    world.wait_for_the_end().await;
    assert_shares(
        &world,
        &["leaving: 1 at attempt 1", "staying: 2 at attempt 1"],
    )
    .await;
    world.end([orchestrator, staying]).await;
}

pub(crate) async fn a_handler_that_outlasts_the_drain_is_tried_again_at_once(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let hour = json!({ "max_attempts": 2, "base_ms": 3_600_000, "max_ms": 3_600_000 });
    let step = json!({ "name": "only", "handler": "conformance.hang", "retry": hour });
    single(&world, "hang", step).await;
    let hanging = submit(&world, "hang", &json!({})).await;
    let drain = ("TASKER__WORKER__DRAIN_TIMEOUT_SECONDS", "0.2");
    let mut leaving = language
        .worker(&world, "leaving", &[LONG_LEASE, drain])
        .await;
    wait_until_running(&world, "leaving", 1).await;

    let status = leaving.process.terminate(WAIT_TIMEOUT).await;

    assert_eq!(status.code(), Some(0), "{}", leaving.process.output());
    let history = format!(
        "select error ->> 'kind' from tasker.step_transitions
         where task_uuid = '{hanging}' and to_state = 'waiting_for_retry'"
    );
    assert_eq!(world.value::<String>(&history).await, "worker_stopped");
    let again = "select exists(select from tasker.steps where state = 'enqueued' and attempt = 1)";
    world
        .wait_for("the step is in the queue again", again)
        .await;
    world
        .run(&format!("select tasker.cancel_task('{hanging}', 'test')"))
        .await;
    world.end([orchestrator]).await;
}

pub(crate) async fn a_handler_that_outlasts_its_lease_keeps_it_even_where_it_blocks_the_others(
    language: Language,
) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let once = json!({ "max_attempts": 1 });
    let ms = json!({ "ms": 5000 });
    let steps = json!([
        { "name": "waits", "handler": "builtin.sleep", "input": ms, "retry": once },
        { "name": "blocks", "handler": "conformance.block", "input": ms, "retry": once },
    ]);
    apply(&world, "long", &json!({ "steps": steps })).await;
    submit(&world, "long", &json!({})).await;
    let holding = language.worker(&world, "holding", &[SHORT_LEASE]).await;
    wait_until_running(&world, "holding", 2).await;

    // It receives whatever comes back, and an attempt that it has to report as lost is the last.
    let witness = language
        .another()
        .worker(&world, "witness", &[SHORT_LEASE])
        .await;
    world.wait_for_the_end().await;

    assert_shares(&world, &["holding: 2 at attempt 1"]).await;
    world.end([orchestrator, holding, witness]).await;
}

pub(crate) async fn the_steps_of_a_worker_that_is_killed_are_run_by_another(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let retry = json!({ "max_attempts": 3, "base_ms": 10 });
    let step = json!({
        "name": "only", "handler": "builtin.sleep", "input": { "ms": 1000 }, "retry": retry,
    });
    single(&world, "sleep", step).await;
    for _ in 0..8 {
        submit(&world, "sleep", &json!({})).await;
    }
    let mut killed = language.worker(&world, "killed", &[SHORT_LEASE]).await;
    wait_until_running(&world, "killed", 8).await;

    killed.process.kill9();
    let heir = language
        .another()
        .worker(&world, "heir", &[SHORT_LEASE])
        .await;
    world.wait_for_the_end().await;

    assert_shares(&world, &["heir: 8 at attempt 2"]).await;
    let why: Vec<String> = world
        .values(
            "select distinct error ->> 'kind' from tasker.step_transitions
             where to_state = 'waiting_for_retry'",
        )
        .await;
    assert_eq!(why, ["lease_expired"]);
    world.end([orchestrator, heir]).await;
}

pub(crate) async fn an_outcome_survives_that_the_database_is_away(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let step = json!({ "name": "only", "handler": "builtin.sleep", "input": { "ms": 1000 } });
    single(&world, "sleep", step).await;
    for _ in 0..4 {
        submit(&world, "sleep", &json!({})).await;
    }
    let proxy = FaultProxy::to(world.url()).await;
    let mut worker = language
        .worker_at(proxy.url(), &world, "cut", &[LONG_LEASE])
        .await;
    wait_until_running(&world, "cut", 4).await;

    proxy.cut();
    worker
        .process
        .wait_for_line("could not report outcomes", WAIT_TIMEOUT)
        .await;
    proxy.resume();
    world.wait_for_the_end().await;

    assert_shares(&world, &["cut: 4 at attempt 1"]).await;
    world.end([orchestrator, worker]).await;
}

pub(crate) async fn a_second_signal_stops_at_once(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let retry = json!({ "max_attempts": 2, "base_ms": 10 });
    let step = json!({
        "name": "only", "handler": "conformance.hang", "timeout_ms": 600_000, "retry": retry,
    });
    single(&world, "hang", step).await;
    let hanging = submit(&world, "hang", &json!({})).await;
    let drain = ("TASKER__WORKER__DRAIN_TIMEOUT_SECONDS", "600");
    let mut worker = language
        .worker(&world, "leaving", &[SHORT_LEASE, drain])
        .await;
    wait_until_running(&world, "leaving", 1).await;

    worker.process.signal(Signal::SIGTERM);
    worker.process.wait_for_line("drains", WAIT_TIMEOUT).await;
    worker.process.signal(Signal::SIGTERM);
    let status = worker.process.wait(WAIT_TIMEOUT).await;

    assert!(!status.success(), "{status}");
    world
        .run(&format!("select tasker.cancel_task('{hanging}', 'test')"))
        .await;
    let heir = language
        .another()
        .worker(&world, "heir", &[SHORT_LEASE])
        .await;
    let held = "select not exists(select from tasker.steps where state = 'in_progress')";
    world.wait_for("the lease of the step is over", held).await;
    world.end([orchestrator, heir]).await;
}

pub(crate) async fn a_worker_shows_among_the_processes_until_it_leaves(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let worker = language.worker(&world, "shown", &[]).await;

    let shown: bool = world
        .value(
            "select role = 'worker' and namespaces = '{conformance}' and places > 0 and taken = 0
               and handlers @> '{builtin.noop,conformance.sum}' and not silent
             from tasker.list_processes() where identity = 'shown'",
        )
        .await;
    assert!(shown);
    worker.stop().await;
    let left = "select exists(select from tasker.processes where identity = 'shown')";
    assert!(!world.value::<bool>(left).await, "its row is still there");
    world.end([orchestrator]).await;
}
