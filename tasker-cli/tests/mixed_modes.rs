//! Orchestrators of several deployment modes on one database, with listeners that hear nothing, and
//! namespaces that come later: nothing is lost, and nothing is done twice.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too, of which others use the rest"
)]

#[path = "system/templates.rs"]
mod templates;
#[path = "system/world.rs"]
mod world;

use std::time::Duration;

use tasker_testing::{FaultProxy, LISTENING, THROUGH_ORCHESTRATORS, WAIT_TIMEOUT, wait_until};
use templates::{LINEAR, MIXED};
use tokio::time::timeout;
use world::{Role, World};

/// Tasks of the mixed fleet, and of each of its phases.
const TASKS: usize = 2000;
const TASKS_OF_A_PHASE: usize = 500;

/// Ends the sessions that listen for orchestrators; says how many.
async fn terminate_listeners(world: &World) -> usize {
    let ended: Vec<bool> = world
        .values(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where {LISTENING}"
        ))
        .await;
    ended.len()
}

async fn wait_until_ended(world: &World, tasks: usize) {
    let sql = format!("select count(*) >= {tasks} from tasker.tasks where state = 'complete'");
    world
        .wait_for("the tasks of the phase have ended", &sql)
        .await;
}

#[tokio::test]
async fn a_fleet_of_two_modes_ends_everything_while_its_listeners_are_cut() {
    let world = World::start().await;
    world.apply(MIXED).await;
    let proxy = FaultProxy::to(world.url()).await;
    let event_driven = [
        ("DEPLOYMENT_MODE", "EventDrivenOnly"),
        ("TASKER__DATABASE__LISTEN_URL", proxy.url()),
        ("TASKER__EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "200"),
        (
            "TASKER__EVENT_SYSTEMS__LISTENER__HEARTBEAT_INTERVAL_MS",
            "500",
        ),
    ];
    let polling = [
        ("DEPLOYMENT_MODE", "PollingOnly"),
        ("INSTANCE_ID", "poller"),
        ("POLL_INTERVAL_MS", "200"),
    ];
    let first = world.orchestrator(&event_driven).await;
    let second = world.orchestrator(&event_driven).await;
    let poller = world.orchestrator(&polling).await;
    let workers = [
        world.worker(&THROUGH_ORCHESTRATORS).await,
        world.worker(&THROUGH_ORCHESTRATORS).await,
    ];

    // While no notification arrives, the poller finds what is ready.
    proxy.cut();
    world.submit("mixed", TASKS_OF_A_PHASE).await;
    wait_until_ended(&world, TASKS_OF_A_PHASE / 2).await;
    // Sessions are lost in the middle of work and come back.
    proxy.resume();
    for _ in 0..2 {
        world.submit("mixed", TASKS_OF_A_PHASE / 2).await;
        let listening = format!("select count(*) > 3 from pg_stat_activity where {LISTENING}");
        world.wait_for("sessions listen", &listening).await;
        assert!(terminate_listeners(&world).await > 3);
    }
    // A network that swallows everything in silence, and one that resets its connections.
    proxy.blackhole();
    world.submit("mixed", TASKS_OF_A_PHASE).await;
    wait_until_ended(&world, TASKS - 2 * TASKS_OF_A_PHASE).await;
    proxy.resume();
    world.submit("mixed", TASKS_OF_A_PHASE).await;
    proxy.reset();
    world.wait_for_the_end_of_much(WAIT_TIMEOUT).await;

    world.assert_complete(TASKS).await;
    assert!(poller.metric("fallback_tasks_found", "").await > 0);
    let by_the_poller: i64 = world
        .value(
            "select count(*) from tasker.step_transitions
             where to_state = 'enqueued' and actor = 'poller'",
        )
        .await;
    assert!(by_the_poller > 0);
    let [one, other] = workers;
    drop(proxy);
    world.end([first, second, poller, one, other]).await;
}

#[tokio::test]
async fn hybrid_enqueues_within_a_polling_interval_what_no_notification_tells_of() {
    const ROUNDS: usize = 5;
    let world = World::start().await;
    world.apply(MIXED).await;
    let proxy = FaultProxy::to(world.url()).await;
    let orchestrator = world
        .orchestrator(&[
            ("DEPLOYMENT_MODE", "Hybrid"),
            ("TASKER__DATABASE__LISTEN_URL", proxy.url()),
            // The loss goes unnoticed.
            (
                "TASKER__EVENT_SYSTEMS__LISTENER__HEARTBEAT_INTERVAL_MS",
                "3600000",
            ),
            ("POLL_INTERVAL_MS", "1000"),
            (
                "TASKER__ORCHESTRATION__TASK_READINESS__AGE_THRESHOLD_SECONDS",
                "0",
            ),
        ])
        .await;
    let worker = world.worker(&THROUGH_ORCHESTRATORS).await;
    world.submit("mixed", 1).await;
    world.wait_for_the_end().await;
    let heard = orchestrator
        .metric("task_readiness_events_received", "task_ready")
        .await;
    assert!(heard > 0, "notifications came before they were swallowed");

    proxy.blackhole();
    world
        .run("create table moment as select clock_timestamp() as at")
        .await;
    for _ in 0..ROUNDS {
        world.submit("mixed", 20).await;
        world.wait_for_the_end().await;
    }

    let slowest: f64 = world
        .value(
            "select max(extract(epoch from s.enqueued_at - coalesce(
                 (select max(p.finished_at) from tasker.steps p
                  where p.task_uuid = s.task_uuid and p.step_no = any(ts.depends_on)),
                 t.created_at)))::float8
             from tasker.steps s
             join tasker.template_steps ts using (template_id, step_no)
             join tasker.tasks t using (task_uuid)
             where t.created_at > (select at from moment)",
        )
        .await;
    assert!(
        slowest < 1.0 + 0.5,
        "{slowest} s, where a poll takes its time too"
    );
    let heard_since = orchestrator
        .metric("task_readiness_events_received", "task_ready")
        .await;
    assert_eq!(heard, heard_since, "notifications were swallowed");
    assert!(orchestrator.metric("fallback_tasks_found", "").await > 0);
    drop(proxy);
    world.assert_complete(ROUNDS * 20 + 1).await;
    world.end([orchestrator, worker]).await;
}

#[tokio::test]
async fn a_normal_hybrid_run_leaves_nothing_for_polls_to_find() {
    let world = World::start().await;
    world.apply(MIXED).await;
    let environment = [("DEPLOYMENT_MODE", "Hybrid"), ("POLL_INTERVAL_MS", "100")];
    let orchestrator = world.orchestrator(&environment).await;
    let [_, enqueuing] = THROUGH_ORCHESTRATORS;
    let worker = world
        .worker(&[environment[0], environment[1], enqueuing])
        .await;

    world.submit("mixed", 300).await;
    world.wait_for_the_end().await;
    wait_until("polls were made", WAIT_TIMEOUT, async || {
        orchestrator.metric("fallback_polls_executed", "").await > 3
    })
    .await;

    assert_eq!(orchestrator.metric("fallback_tasks_found", "").await, 0);
    assert!(orchestrator.metric("task_readiness_command_sent", "").await > 0);
    let measured = "tasker_completion_to_enqueued_seconds_count";
    assert!(orchestrator.metric(measured, "").await > 0);
    world.assert_complete(300).await;
    world.end([orchestrator, worker]).await;
}

/// How often the orchestrator's listener has got a connection.
async fn connections(orchestrator: &Role) -> i64 {
    orchestrator
        .metric(
            "tasker_listener_connections_total",
            r#"listener="orchestrator""#,
        )
        .await
}

#[tokio::test]
async fn a_namespace_created_while_all_runs_is_served_on_the_same_connection() {
    let event_driven = ("DEPLOYMENT_MODE", "EventDrivenOnly");
    for namespaces in ["[]", r#"["later"]"#] {
        let world = World::start().await;
        world.apply(LINEAR).await;
        let orchestrator = world
            .orchestrator(&[
                event_driven,
                ("TASKER__ORCHESTRATION__NAMESPACES", namespaces),
            ])
            .await;
        let worker = world.worker(&[event_driven]).await;

        world
            .apply(&LINEAR.replace("namespace: graphs", "namespace: later"))
            .await;
        world
            .run("select tasker.submit_task('later', 'linear')")
            .await;
        world.wait_for_the_end().await;

        assert_eq!(connections(&orchestrator).await, 1);
        world.assert_complete(1).await;
        world.end([orchestrator, worker]).await;
    }
}

#[tokio::test]
async fn an_orchestrator_leaves_namespaces_that_are_not_its_own_to_others() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    world
        .apply(&LINEAR.replace("namespace: graphs", "namespace: own"))
        .await;
    let environment = [
        ("TASKER__ORCHESTRATION__NAMESPACES", r#"["own"]"#),
        ("POLL_INTERVAL_MS", "100"),
        (
            "TASKER__ORCHESTRATION__TASK_READINESS__AGE_THRESHOLD_SECONDS",
            "0",
        ),
    ];
    let restricted = world.orchestrator(&environment).await;
    let worker = world.worker(&[]).await;
    world.submit("linear", 20).await;
    world
        .run("select tasker.submit_task('own', 'linear') from generate_series(1, 20)")
        .await;
    let own = "select count(*) = 20 from tasker.tasks where state = 'complete'";
    world.wait_for("its own tasks have ended", own).await;
    let claimed_elsewhere: i64 = world
        .value("select count(*) from tasker.tasks where state <> 'complete' and state <> 'pending'")
        .await;
    assert_eq!(claimed_elsewhere, 0);

    let other = world.orchestrator(&[]).await;
    let ending = world.wait_for_the_end();
    timeout(WAIT_TIMEOUT + Duration::from_secs(1), ending)
        .await
        .unwrap();
    world.assert_complete(40).await;
    world.end([restricted, other, worker]).await;
}
