//! Statistics of a running system: every event is timed, and the command and the API tell of it.

use std::collections::HashSet;

use serde_json::Value;
use tasker_testing::{THROUGH_ORCHESTRATORS, TestServer};

use super::templates::LINEAR;
use super::world::{World, get, printed};

/// Tasks of several steps each.
const TASKS: usize = 20;

const EVERYTHING: [(&str, &str); 1] = [("TASKER__STATISTICS__SAMPLING_RATES__NORMAL", "1.0")];

/// How many events of each kind are reported, in the order of their names.
fn counts(stats: &Value) -> Vec<(String, f64)> {
    let rows = stats["statistics"].as_array().unwrap().iter();
    let mut counts: Vec<_> = rows
        .map(|row| {
            let event = row["event"].as_str().unwrap().to_owned();
            (event, row["count"].as_f64().unwrap())
        })
        .collect();
    counts.sort_by(|one, other| one.0.cmp(&other.0));
    counts
}

#[tokio::test]
async fn every_event_of_a_workflow_is_timed() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    let orchestrator = world.orchestrator(&EVERYTHING).await;
    let [queued, claimed] = THROUGH_ORCHESTRATORS;
    let worker = world.worker(&[EVERYTHING[0], queued, claimed]).await;
    world.submit("linear", TASKS).await;
    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    let steps: i64 = world.value("select count(*) from tasker.steps").await;

    // The worker writes what it has when it stops.
    worker.stop().await;
    world
        .wait_for(
            "the orchestrator wrote what it has",
            &format!(
                "select coalesce(sum(count), 0) = {steps} from tasker.statistics('-infinity')
                where event = 'ready_to_enqueued'"
            ),
        )
        .await;

    #[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
    let steps = steps as f64;
    let told = counts(&get(&orchestrator, "/v1/stats?since=1h&template=graphs/linear").await);
    let names: Vec<&str> = told.iter().map(|(event, _)| &**event).collect();
    assert_eq!(
        names,
        [
            "ended_to_successors_ready",
            "enqueued_to_received",
            "notification_to_command",
            "ready_to_enqueued",
            "received_to_ended",
        ]
    );
    for (event, count) in &told {
        if event != "notification_to_command" {
            assert!((count - steps).abs() < 0.5, "{event}: {count} of {steps}");
        }
    }
    assert_eq!(counts(&printed(&world, &["stats"]).await), told);
    let by_step = printed(&world, &["stats", "--by", "step", "--since", "1h"]).await;
    let ended: Vec<_> = by_step["statistics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["event"] == "received_to_ended")
        .collect();
    assert!(ended.iter().all(|row| row["template"] == "graphs/linear"));
    let of_all: f64 = ended.iter().filter_map(|row| row["count"].as_f64()).sum();
    assert!((of_all - steps).abs() < 0.5, "{ended:?}");
    assert!(ended.len() > 1 && ended.iter().all(|row| row["step"].is_string()));
    world.end([orchestrator]).await;
}

#[tokio::test]
async fn sessions_that_move_steps_write_no_statistics() {
    let server = TestServer::with_statement_log().await;
    let world = World::of(server.clone()).await;
    world.apply(LINEAR).await;
    let orchestrator = world.orchestrator(&EVERYTHING).await;
    let worker = world.worker(&EVERYTHING).await;
    world.submit("linear", TASKS).await;
    world.wait_for_the_end().await;
    world.end([orchestrator, worker]).await;

    let statements = server.statements().await;
    let sessions = |functions: &[&str]| -> HashSet<u32> {
        let called = statements.iter().filter(|(_, text)| {
            let mut functions = functions.iter();
            functions.any(|function| text.contains(&format!("tasker.{function}(")))
        });
        called.map(|(session, _)| *session).collect()
    };
    let statistics = sessions(&["record_samples", "tend_statistics"]);
    let path = [
        "submit_tasks",
        "claim_ready_tasks",
        "receive_steps",
        "complete_steps_and_enqueue",
        "announce",
    ];
    for function in path {
        assert!(!sessions(&[function]).is_empty(), "{function}");
    }
    assert!(!sessions(&["record_samples"]).is_empty());
    assert!(statistics.is_disjoint(&sessions(&path)));
}

#[tokio::test]
async fn statistics_that_cannot_be_written_hold_up_nothing() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    world.run("drop table tasker.statistics_samples").await;
    let orchestrator = world.orchestrator(&EVERYTHING).await;
    let worker = world.worker(&EVERYTHING).await;
    world.submit("linear", TASKS).await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    tasker_testing::wait_until(
        "the samples are counted",
        tasker_testing::WAIT_TIMEOUT,
        async || {
            let name = "tasker_statistics_samples_dropped_total";
            orchestrator.metric(name, r#"reason="database""#).await > 0
        },
    )
    .await;

    world.end([orchestrator, worker]).await;
}
