//! Connections that break while the server lives: listeners that are thrown out again and again,
//! a network that is cut, and one that swallows everything in silence.

use tasker_testing::{FaultProxy, LISTENING, WAIT_TIMEOUT, wait_until};

use super::templates::{LINEAR, mixed_of_sleeps};
use super::world::{NO_POLLING, Role, SHORT_LEASE, World};

/// How often the listeners are thrown out.
const ROUNDS: usize = 10;
/// Tasks submitted at each of these moments.
const TASKS_OF_A_ROUND: usize = 20;

/// Deadlines under which a connection that swallows everything is given up soon.
const SHORT_DEADLINES: [(&str, &str); 5] = [
    SHORT_LEASE,
    ("TASKER__DATABASE__CALL_TIMEOUT_MS", "2000"),
    ("TASKER__DATABASE__STATEMENT_TIMEOUT_MS", "1500"),
    ("TASKER__DATABASE__ACQUIRE_TIMEOUT_MS", "1000"),
    (
        "TASKER__EVENT_SYSTEMS__LISTENER__HEARTBEAT_INTERVAL_MS",
        "500",
    ),
];

#[tokio::test]
async fn listeners_that_are_thrown_out_again_and_again_miss_nothing() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    // What a listener missed, it has to look for when it is back.
    let mut environment = NO_POLLING.to_vec();
    environment.push(("TASKER__EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "200"));
    let mut roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];
    let mut ended: Vec<i32> = vec![0];
    for _ in 0..ROUNDS {
        let ended_before: Vec<String> = ended.iter().map(i32::to_string).collect();
        let fresh = format!(
            "{LISTENING} and pid <> all ('{{{}}}')",
            ended_before.join(",")
        );
        // Two of the orchestrator, of which one serves the API, and one of the worker.
        let all = format!("select count(*) >= 3 from pg_stat_activity where {fresh}");
        world.wait_for("all listeners are back", &all).await;
        world.submit("linear", TASKS_OF_A_ROUND).await;
        let sessions: Vec<i32> = world
            .values(&format!(
                "with listening as materialized (
                   select pid from pg_stat_activity where {fresh}
                 )
                 select pid from listening where pg_terminate_backend(pid)"
            ))
            .await;
        assert!(sessions.len() >= 3, "{sessions:?}");
        ended.extend(sessions);
    }
    world.wait_for_the_end().await;
    world.assert_complete(ROUNDS * TASKS_OF_A_ROUND).await;
    for role in &mut roles {
        role.assert_alive();
    }
    world.end(roles).await;
}

#[tokio::test]
async fn work_goes_on_after_the_network_was_cut() {
    outlives(FaultProxy::cut).await;
}

#[tokio::test]
async fn work_goes_on_after_the_network_swallowed_everything_in_silence() {
    outlives(FaultProxy::blackhole).await;
}

#[tokio::test]
async fn work_goes_on_after_the_answers_of_the_server_got_lost() {
    outlives(FaultProxy::swallow_answers).await;
}

/// Breaks the connections of an orchestrator and a worker in the middle of work, until both have
/// noticed and no lease is left, and mends them.
async fn outlives(fault: impl Fn(&FaultProxy)) {
    const TASKS: usize = 60;
    let world = World::start().await;
    world.apply(&mixed_of_sleeps(300)).await;
    let proxy = FaultProxy::to(world.url()).await;
    let mut environment = vec![("DATABASE_URL", proxy.url())];
    environment.extend(SHORT_DEADLINES);
    environment.extend(NO_POLLING);
    let roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];
    world.submit("mixed", TASKS).await;
    world
        .wait_for(
            "steps complete while others run",
            "select count(*) filter (where state = 'complete') >= 20
               and count(*) filter (where state = 'in_progress') >= 20
             from tasker.steps",
        )
        .await;

    fault(&proxy);
    for role in &roles {
        wait_until_noticed(role).await;
    }
    world
        .wait_for(
            "all leases have run out",
            "select coalesce(bool_and(vt <= clock_timestamp()), true)
             from pgmq.q_worker_graphs_queue",
        )
        .await;
    let open: bool = world
        .value("select exists (select from tasker.tasks where state = 'in_progress')")
        .await;
    assert!(open, "everything had ended before");
    proxy.resume();

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    for role in roles {
        role.stop().await;
    }
    // The server does not know of sessions whose end was swallowed too.
    drop(proxy);
    world.end([]).await;
}

/// A listener says once that it cannot go on, however long the outage lasts.
async fn wait_until_noticed(role: &Role) {
    wait_until("the process notices", WAIT_TIMEOUT, async || {
        let output = role.process.output();
        output.contains("the listening connection was lost")
    })
    .await;
}
