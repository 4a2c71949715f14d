//! A program that is a worker, as users write it: it starts with one call, and stops when it is told
//! without losing what it has in hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{FaultProxy, TaskerBinary, TaskerProcess, TestDatabase, WAIT_TIMEOUT};
use world::World;

/// Longest time that a worker without a database may take to stop: to drain, to try the last
/// outcomes again, and to close connections.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Starts the example on a database. Its handlers get little time to end.
fn start(url: &str) -> TaskerProcess {
    let environment = [
        ("DATABASE_URL", url),
        ("INSTANCE_ID", "program"),
        ("TASKER__WORKER__DRAIN_TIMEOUT_SECONDS", "8"),
        ("TASKER__WORKER__LEASE_SECONDS", "6"),
    ];
    TaskerBinary::example("custom_handlers").spawn(&[], &environment)
}

/// A world in which the example, started at `url`, runs a step that takes so long.
async fn run_step_of(ms: u64, world: &World, url: &str) -> (TaskerProcess, TaskUuid) {
    let steps = format!(
        "  - {{ name: wait, handler: builtin.sleep, input: {{ ms: {ms} }} }}\n  \
         - {{ name: reserve, handler: stock.reserve, depends_on: [wait] }}"
    );
    world.template("order", &steps).await;
    let order = json!({ "order_id": 17, "cents": 300 });
    let task = world.submit("order", order).await;
    let program = start(url);
    world.run_attempt(task, 1).await;
    // The database knows that the step was received before the worker does.
    world.wait_for_extension().await;
    (program, task)
}

#[tokio::test]
async fn either_signal_lets_a_running_handler_end_and_records_its_outcome() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::create().await;
        let url = world.db.url().to_owned();
        let (mut program, task) = run_step_of(5_000, &world, &url).await;

        program.signal(signal);
        let status = program.wait(WAIT_TIMEOUT).await;

        assert_eq!(status.code(), Some(0), "{}", program.output());
        let detail = world.task(task).await;
        let wait = &detail.steps[0];
        assert_eq!((wait.state, wait.attempts), (StepState::Complete, 1));
        assert_eq!(wait.worker.as_deref(), Some("program"));
        let leases = "select count(*) from pgmq.q_worker_shop_queue where vt > clock_timestamp()";
        assert_eq!(world.count(leases).await, 0, "a lease is lost");
        // What it did not start is left to the next one.
        assert_eq!(detail.steps[1].attempts, 0);
        let mut heir = start(&url);
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[1].result, Some(json!({ "shelf": "shelf 7" })));
        assert_eq!(heir.terminate(WAIT_TIMEOUT).await.code(), Some(0));
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let world = World::create().await;
    let url = world.db.url().to_owned();
    let (mut program, _) = run_step_of(600_000, &world, &url).await;

    program.signal(Signal::SIGTERM);
    program.wait_for_line("stops at once", WAIT_TIMEOUT).await;
    program.signal(Signal::SIGTERM);

    assert_eq!(program.wait(WAIT_TIMEOUT).await.code(), Some(130));
}

#[tokio::test]
async fn a_worker_whose_database_is_gone_stops_in_bounded_time_and_says_what_was_lost() {
    stops_without_its_database(FaultProxy::cut).await;
}

#[tokio::test]
async fn a_worker_whose_database_hangs_stops_in_bounded_time_and_says_what_was_lost() {
    stops_without_its_database(FaultProxy::blackhole).await;
}

async fn stops_without_its_database(fault: fn(&FaultProxy)) {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    let url = db.url().to_owned();
    let world = World::at(db, &url).await;
    let (mut program, task) = run_step_of(5_000, &world, proxy.url()).await;

    fault(&proxy);
    let asked = Instant::now();
    program.signal(Signal::SIGTERM);
    let status = program.wait(WAIT_TIMEOUT).await;

    let (took, output) = (asked.elapsed(), program.output());
    assert!(took < STOPS_WITHIN, "{took:?}: {output}");
    assert_eq!(status.code(), Some(1), "{output}");
    let said = "Error: not every outcome was recorded";
    assert!(output.contains(said), "{output}");
    world.expire_leases().await;
    let mut heir = start(&url);
    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].attempts, 2);
    assert_eq!(heir.terminate(WAIT_TIMEOUT).await.code(), Some(0));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_database_that_is_away_at_first_is_waited_for() {
    let db = TestDatabase::create().await;
    let proxy = FaultProxy::to(db.url()).await;
    proxy.cut();
    let mut program = start(proxy.url());
    let waiting = "waiting for the database";
    program.wait_for_line(waiting, WAIT_TIMEOUT).await;

    proxy.resume();
    program.wait_for_line("the worker runs", WAIT_TIMEOUT).await;
    assert_eq!(program.terminate(WAIT_TIMEOUT).await.code(), Some(0));

    proxy.cut();
    let mut program = start(proxy.url());
    program.wait_for_line(waiting, WAIT_TIMEOUT).await;
    assert_eq!(program.terminate(WAIT_TIMEOUT).await.code(), Some(0));
}

#[tokio::test]
async fn what_no_waiting_can_mend_ends_the_program_with_what_to_do() {
    let empty = TestDatabase::empty().await;
    for (url, texts) in [
        (
            "mysql://app:secret@localhost/app",
            ["is not a database address", "DATABASE_URL"],
        ),
        (
            empty.url(),
            [
                "the database has no schema of tasker",
                "run `tasker migrate`",
            ],
        ),
    ] {
        let mut program = start(url);

        assert_eq!(program.wait(WAIT_TIMEOUT).await.code(), Some(1));

        let output = program.output();
        for text in texts {
            assert!(output.contains(text), "{text:?} is not in {output}");
        }
        assert!(!output.contains("secret"), "{output}");
    }
}
