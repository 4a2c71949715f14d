//! What an idle process costs the server: statements are counted in its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tasker_testing::{Durability, WAIT_TIMEOUT, wait_until};

use super::templates::LINEAR;
use super::world::{Role, World};

/// How long the statements of an idle process are counted.
const OBSERVATION: Duration = Duration::from_secs(8);
/// Statements beyond one a second that chance may bring into an observation.
const CHANCE: usize = 2;

#[tokio::test]
async fn an_idle_orchestrator_and_an_idle_worker_ask_at_most_once_a_second_in_every_mode() {
    let world = World::with_server(Durability::Disposable).await;
    world.apply(LINEAR).await;
    world.run("alter system set log_statement = 'all'").await;
    world.run("select pg_reload_conf()").await;
    let log = server_log(&world).await;

    for mode in ["Hybrid", "EventDrivenOnly", "PollingOnly"] {
        let environment = [("DEPLOYMENT_MODE", mode)];
        // With the API, and what it listens with.
        let orchestrator = world.orchestrator(&environment).await;
        has_settled(&orchestrator, "claim_ready_tasks").await;
        assert_quiet("orchestrator", mode, &log).await;
        orchestrator.stop().await;

        let worker = world.worker(&environment).await;
        has_settled(&worker, "receive_steps").await;
        assert_quiet("worker", mode, &log).await;
        worker.stop().await;
    }
    world.end([]).await;
}

async fn server_log(world: &World) -> PathBuf {
    let data: String = world
        .value("select current_setting('data_directory')")
        .await;
    let log = Path::new(&data).parent().unwrap().join("server.log");
    assert!(log.is_file(), "{}", log.display());
    log
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
async fn assert_quiet(name: &str, mode: &str, log: &Path) {
    let before = fs::read_to_string(log).unwrap().len();
    let started = Instant::now();
    wait_until("the observation is over", WAIT_TIMEOUT, async || {
        started.elapsed() >= OBSERVATION
    })
    .await;
    let text = fs::read_to_string(log).unwrap().split_off(before);
    let statements: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("LOG:  execute ") || line.contains("LOG:  statement: "))
        .collect();
    println!(
        "an idle {name} ({mode}): {} statements in {OBSERVATION:?}",
        statements.len()
    );
    let most = usize::try_from(OBSERVATION.as_secs()).unwrap() + CHANCE;
    assert!(
        statements.len() <= most,
        "{} statements:\n{}",
        statements.len(),
        statements.join("\n")
    );
    if mode != "PollingOnly" {
        assert!(
            statements
                .iter()
                .any(|line| line.ends_with("select pg_notify($1, '')")),
            "the log shows no heartbeats:\n{text}"
        );
    }
}
