//! The fleet of deploy/docker-compose.production.yml as processes: orchestrators of two modes, workers of
//! one namespace and a fallback worker of all, of which some die and are started again.
//! `make test-deploy` does the same with containers.

use super::templates::MIXED;
use super::world::{Role, SHORT_LEASE, World};

/// Tasks of the namespace that has workers of its own, and of the one that has none.
const TASKS: usize = 1000;
const TASKS_ELSEWHERE: usize = 200;

const EVENT_DRIVEN: (&str, &str) = ("DEPLOYMENT_MODE", "EventDrivenOnly");
const POLLING: (&str, &str) = ("DEPLOYMENT_MODE", "PollingOnly");

#[tokio::test]
async fn a_mixed_fleet_ends_everything_though_an_orchestrator_and_a_worker_are_killed() {
    let world = World::start().await;
    world.apply(MIXED).await;
    let elsewhere = MIXED.replace("namespace: graphs", "namespace: elsewhere");
    world.apply(&elsewhere).await;
    let mut orchestrators = [
        world.orchestrator(&[EVENT_DRIVEN]).await,
        world.orchestrator(&[EVENT_DRIVEN]).await,
        world
            .orchestrator(&[POLLING, ("POLL_INTERVAL_MS", "500")])
            .await,
    ];
    let mut workers = [
        worker_of_the_namespace(&world).await,
        worker_of_the_namespace(&world).await,
        fallback_worker(&world).await,
    ];

    world.submit("mixed", TASKS).await;
    world
        .run(&format!(
            "select tasker.submit_task('elsewhere', 'mixed') from generate_series(1, {TASKS_ELSEWHERE})"
        ))
        .await;
    wait_until_complete(&world, TASKS / 10).await;
    orchestrators[0].process.kill9();
    wait_until_complete(&world, TASKS / 5).await;
    workers[0].process.kill9();
    assert_unfinished(&world).await;
    orchestrators[0] = world.orchestrator(&[EVENT_DRIVEN]).await;
    workers[0] = worker_of_the_namespace(&world).await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS + TASKS_ELSEWHERE).await;
    let by_the_fallback: bool = world
        .value(
            "select bool_and(s.worker = 'fallback')
             from tasker.steps s join tasker.templates t using (template_id)
             where t.namespace = 'elsewhere'",
        )
        .await;
    assert!(by_the_fallback, "no other worker serves that namespace");
    world.end(orchestrators.into_iter().chain(workers)).await;
}

/// Tasks whose notifications are lost.
const MISSED: i64 = 30;

#[tokio::test]
async fn a_mixed_fleet_counts_each_missed_notification_and_no_other() {
    let world = World::start().await;
    world.apply(MIXED).await;
    let polling = [
        POLLING,
        ("POLL_INTERVAL_MS", "500"),
        (
            "TASKER__ORCHESTRATION__TASK_READINESS__MISS_THRESHOLD_SECONDS",
            "1.0",
        ),
    ];
    let orchestrators = [
        world.orchestrator(&[EVENT_DRIVEN]).await,
        world.orchestrator(&[EVENT_DRIVEN]).await,
        world.orchestrator(&polling).await,
    ];
    let worker = worker_of_the_namespace(&world).await;
    world
        .wait_for(
            "a listener is registered",
            "select tasker.has_listener(null)",
        )
        .await;

    let lost = format!(
        "select set_config('tasker.announce', 'off', true),
           set_config('tasker.now', (clock_timestamp() - interval '1 min')::text, true);
         select tasker.submit_task('graphs', 'mixed') from generate_series(1, {MISSED});"
    );
    world.run(&lost).await;
    world.wait_for_the_end().await;
    world.submit("mixed", TASKS).await;
    world.wait_for_the_end().await;

    let mut counted = 0;
    for orchestrator in &orchestrators {
        counted += orchestrator.metric("tasks_discovered_by_polling", "").await;
    }
    assert_eq!(counted, MISSED);
    let log = orchestrators[2].process.output();
    let warnings = log.lines().filter(|line| line.contains(" WARN "));
    assert_eq!(warnings.count(), 6, "{log}");
    world.end(orchestrators.into_iter().chain([worker])).await;
}

async fn worker_of_the_namespace(world: &World) -> Role {
    world
        .worker(&[EVENT_DRIVEN, SHORT_LEASE, ("NAMESPACE", "graphs")])
        .await
}

async fn fallback_worker(world: &World) -> Role {
    let environment = [
        POLLING,
        SHORT_LEASE,
        ("POLL_INTERVAL_MS", "500"),
        ("INSTANCE_ID", "fallback"),
    ];
    world.worker(&environment).await
}

async fn wait_until_complete(world: &World, tasks: usize) {
    let sql = format!("select count(*) >= {tasks} from tasker.tasks where state = 'complete'");
    world.wait_for("some tasks are complete", &sql).await;
}

/// Says that there is work left, so that a loss has something to harm.
async fn assert_unfinished(world: &World) {
    let open: bool = world
        .value("select exists (select from tasker.tasks where state in ('pending', 'in_progress'))")
        .await;
    assert!(open, "everything had ended before");
}
