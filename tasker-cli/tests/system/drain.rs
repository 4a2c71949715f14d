//! Workers that are told to stop: what runs ends, what waits is left to others, and the process
//! ends well.

use tasker_testing::{WAIT_TIMEOUT, wait_until};

use super::templates::{mixed_of_sleeps, sleep};
use super::world::{Role, World};

/// A worker of this name with so many places; what it forgot would wait for its lease for an hour.
async fn worker(world: &World, name: &str, places: &str) -> Role {
    world
        .worker(&[
            ("INSTANCE_ID", name),
            ("TASKER__WORKER__CONCURRENCY", places),
            ("TASKER__WORKER__LEASE_SECONDS", "3600"),
            ("TASKER__WORKER__DRAIN_TIMEOUT_SECONDS", "30"),
        ])
        .await
}

/// Waits until a worker runs so many steps.
async fn wait_until_running(world: &World, worker: &str, steps: usize) {
    let sql = format!(
        "select count(*) = {steps} from tasker.steps
         where state = 'in_progress' and worker = '{worker}'"
    );
    let what = format!("{worker} runs {steps} steps");
    world.wait_for(&what, &sql).await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_what_it_runs_and_leaves_the_rest_to_the_other() {
    let world = World::start().await;
    world.apply(&sleep(2000)).await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut leaving = worker(&world, "leaving", "4").await;
    let staying = worker(&world, "staying", "4").await;
    world.submit("sleep", 12).await;
    wait_until("its handlers run", WAIT_TIMEOUT, async || {
        leaving.metric("tasker_worker_running_steps", "").await == 4
    })
    .await;

    let status = leaving.process.terminate(WAIT_TIMEOUT).await;

    assert_eq!(status.code(), Some(0), "{}", leaving.process.output());
    let left: i64 = world
        .value(
            "select count(*) from tasker.steps where state = 'in_progress' and worker = 'leaving'",
        )
        .await;
    assert_eq!(left, 0, "it ended before its steps did");
    world.wait_for_the_end().await;
    world.assert_complete(12).await;
    let shares: Vec<String> = world
        .values(
            "select format('%s: %s steps at attempt %s', worker, count(*), attempt)
             from tasker.steps group by worker, attempt order by 1",
        )
        .await;
    assert_eq!(
        shares,
        [
            "leaving: 4 steps at attempt 1",
            "staying: 8 steps at attempt 1"
        ]
    );
    world.end([orchestrator, staying]).await;
}

#[tokio::test]
async fn steps_that_do_not_end_in_time_are_tried_again_by_the_other() {
    let world = World::start().await;
    world.apply(&sleep(3_600_000)).await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut hasty = world
        .worker(&[
            ("INSTANCE_ID", "hasty"),
            ("TASKER__WORKER__LEASE_SECONDS", "3600"),
            ("TASKER__WORKER__DRAIN_TIMEOUT_SECONDS", "0.2"),
        ])
        .await;
    let tasks = world.submit("sleep", 3).await;
    wait_until_running(&world, "hasty", 3).await;
    let staying = worker(&world, "staying", "4").await;

    let status = hasty.process.terminate(WAIT_TIMEOUT).await;

    assert_eq!(status.code(), Some(0), "{}", hasty.process.output());
    wait_until_running(&world, "staying", 3).await;
    for task in tasks {
        world
            .run(&format!("select tasker.cancel_task('{task}', 'test')"))
            .await;
    }
    world
        .wait_for(
            "the handlers have ended",
            "select count(*) = 3 from tasker.steps where state = 'cancelled' and attempt = 2",
        )
        .await;
    world.end([orchestrator, staying]).await;
}

#[tokio::test]
async fn a_rolling_restart_under_load_costs_no_attempt() {
    const TASKS: usize = 150;
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(200)).await;
    let mut orchestrators = [world.orchestrator(&[]).await, world.orchestrator(&[]).await];
    let mut workers = [
        worker(&world, "worker 1", "40").await,
        worker(&world, "worker 2", "40").await,
    ];
    world.submit("mixed", TASKS).await;
    let mut done = 0;
    let mut next_part = async || {
        done += 100;
        let sql = format!(
            "select count(*) filter (where state = 'complete') >= {done} from tasker.steps"
        );
        world.wait_for("work goes on", &sql).await;
    };
    for (number, old) in (3..).zip(&mut workers) {
        next_part().await;
        let new = worker(&world, &format!("worker {number}"), "40").await;
        std::mem::replace(old, new).stop().await;
    }
    for old in &mut orchestrators {
        next_part().await;
        let new = world.orchestrator(&[]).await;
        std::mem::replace(old, new).stop().await;
    }

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    let shares: Vec<String> = world
        .values("select distinct format('%s, attempt %s', worker, attempt) from tasker.steps order by 1")
        .await;
    assert_eq!(
        shares,
        [
            "worker 1, attempt 1",
            "worker 2, attempt 1",
            "worker 3, attempt 1",
            "worker 4, attempt 1"
        ]
    );
    world.end(orchestrators.into_iter().chain(workers)).await;
}
