//! `tasker bench`: that it measures; how much is for people to judge.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use serde_json::Value;

use crate::common::tasker;

#[tokio::test]
async fn every_figure_is_a_line_and_is_really_measured() {
    let args = [
        "bench",
        "--runs",
        "1",
        "--samples",
        "5",
        "--tasks",
        "20",
        "--json",
    ];
    let answer = tasker(&args).await.ok();
    let lines: Vec<Value> = answer
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["name"], "environment");
    assert_eq!(lines[0]["fsync"], "on");
    for name in [
        "machine.durable_commits_1_client",
        "machine.durable_commits_16_clients",
        "machine.notify_round_trip_p50",
        "machine.pgmq_batch_1",
        "machine.pgmq_batch_10",
        "machine.pgmq_batch_100",
        "linear4.latency_p50",
        "linear4.latency_p95",
        "linear4.latency_p99",
        "linear4.step_to_step_p50",
        "linear4.throughput",
        "linear4.wal_per_step",
        "linear4.write_transactions_per_step",
    ] {
        let line = lines.iter().find(|line| line["name"] == name).unwrap();
        assert!(line["median"].as_f64().unwrap() > 0.0, "{line}");
        assert_eq!(line["runs"].as_array().unwrap().len(), 1, "{line}");
    }
    let throughput = lines
        .iter()
        .find(|line| line["name"] == "linear4.throughput")
        .unwrap();
    assert!(throughput["ratio"].as_f64().unwrap() > 0.0, "{throughput}");
}
