//! What an idle process costs the server: statements are counted in its log.

use std::time::{Duration, Instant};

use tasker_testing::{TestServer, WAIT_TIMEOUT, wait_until};

use super::templates::LINEAR;
use super::world::{Role, World};

/// How long the statements of an idle process are counted.
const OBSERVATION: Duration = Duration::from_secs(20);
/// Statements beyond one a second that may fall into an observation: those of what is looked at once
/// a minute, and of a connection that is opened for it.
const ONCE_A_MINUTE: usize = 5;

#[tokio::test]
async fn an_idle_orchestrator_and_an_idle_worker_ask_at_most_once_a_second_in_every_mode() {
    let hybrid = World::of(TestServer::with_statement_log().await).await;
    let event_driven = World::beside_of(TestServer::with_statement_log().await);
    let polling = World::beside_of(TestServer::with_statement_log().await);
    tokio::join!(
        assert_idle(hybrid, "Hybrid"),
        assert_idle(event_driven, "EventDrivenOnly"),
        assert_idle(polling, "PollingOnly"),
    );
}

async fn assert_idle(world: World, mode: &str) {
    world.apply(LINEAR).await;
    let environment = [("DEPLOYMENT_MODE", mode)];

    // With the API, and what it listens with. What the gauges show it reads last.
    let orchestrator = world.orchestrator(&environment).await;
    has_settled(&orchestrator, "gauges").await;
    assert_quiet("orchestrator", mode, &world).await;
    orchestrator.stop().await;

    let worker = world.worker(&environment).await;
    has_settled(&worker, "receive_steps").await;
    assert_quiet("worker", mode, &world).await;
    world.end([worker]).await;
}

/// Waits until a process has done its first looks.
async fn has_settled(role: &Role, call: &str) {
    wait_until("the process has settled", WAIT_TIMEOUT, async || {
        let looks = role.metric("tasker_database_calls_total", call).await;
        looks >= 1
    })
    .await;
}

/// Counts statements for a while, heartbeats of listeners among them.
async fn assert_quiet(name: &str, mode: &str, world: &World) {
    let before = world.server().statements().await.len();
    let started = Instant::now();
    wait_until("the observation is over", WAIT_TIMEOUT, async || {
        started.elapsed() >= OBSERVATION
    })
    .await;
    let statements = world.server().statements().await.split_off(before);
    let texts: Vec<&str> = statements.iter().map(|(_, text)| text.as_str()).collect();
    println!(
        "an idle {name} ({mode}): {} statements in {OBSERVATION:?}",
        texts.len()
    );
    let most = usize::try_from(OBSERVATION.as_secs()).unwrap() + ONCE_A_MINUTE;
    assert!(
        texts.len() <= most,
        "{} statements:\n{}",
        texts.len(),
        texts.join("\n")
    );
    if mode != "PollingOnly" {
        let heartbeat = |text: &&str| text.contains("a listener asks");
        assert!(texts.iter().any(heartbeat), "{texts:?}");
    }
    assert!(!texts.iter().any(|text| text.contains("pg_notify")));
}
