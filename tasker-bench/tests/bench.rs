//! The benchmark: that it measures; how much is for people to judge.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::process::Output;

use serde_json::Value;
use tasker_testing::TaskerBinary;

/// What a quick run comes to.
async fn quick(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let program = TaskerBinary::at(env!("CARGO_BIN_EXE_tasker-bench"));
    let quick = ["--quick", "--runs", "1", "--json"];
    program
        .run(&[&quick, arguments].concat(), environment)
        .await
}

/// What a quick run answers: a line for the environment, then one for each figure.
async fn bench(arguments: &[&str]) -> Vec<Value> {
    let output = quick(arguments, &[]).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn figure<'a>(lines: &'a [Value], name: &str, continuation: Option<bool>) -> &'a Value {
    lines
        .iter()
        .find(|line| line["name"] == name && line["continuation"].as_bool() == continuation)
        .unwrap_or_else(|| panic!("there is no {name} {continuation:?}"))
}

fn assert_measured(lines: &[Value], name: &str, continuation: Option<bool>) {
    let line = figure(lines, name, continuation);
    assert!(line["median"].as_f64().unwrap() > 0.0, "{line}");
    assert_eq!(line["runs"].as_array().unwrap().len(), 1, "{line}");
}

#[tokio::test]
async fn the_machine_and_each_workload_are_measured_with_and_without_continuation() {
    let workloads = ["linear4", "diamond", "burst", "step-to-step"];
    let only = workloads.map(|name| ["--only", name]).concat();
    let lines = bench(&only).await;

    assert_eq!(lines[0]["name"], "environment");
    assert_eq!(lines[0]["fsync"], "on");
    assert_eq!(lines[0]["synchronous_commit"], "on");
    for name in [
        "machine.durable_commits_1_client",
        "machine.durable_commits_16_clients",
        "machine.notify_round_trip_p50",
        "machine.pgmq_batch_1",
        "machine.pgmq_batch_10",
        "machine.pgmq_batch_100",
    ] {
        assert_measured(&lines, name, None);
    }
    for continuation in [Some(true), Some(false)] {
        for name in [
            "linear4.latency_p50",
            "linear4.latency_p95",
            "linear4.latency_p99",
            "linear4.wal_per_step",
            "linear4.write_transactions_per_step",
            "linear4.wal_syncs_per_step",
            "diamond.latency_p50",
            "burst.throughput",
            "step-to-step.p50",
            "step-to-step.p99",
        ] {
            assert_measured(&lines, name, continuation);
        }
        let throughput = figure(&lines, "burst.throughput", continuation);
        assert!(throughput["ratio"].as_f64().unwrap() > 0.0, "{throughput}");
    }
}

#[tokio::test]
async fn the_time_of_a_task_is_told_by_phase() {
    let lines = bench(&["--only", "linear3", "linear4"]).await;

    for (workload, continuation) in [
        ("linear3", Some(true)),
        ("linear3", Some(false)),
        ("linear4", Some(true)),
        ("linear4", Some(false)),
    ] {
        let median = |name: &str| {
            let line = figure(&lines, &format!("{workload}.{name}"), continuation);
            line["median"].as_f64().unwrap()
        };
        let phases = [
            "phase_submit",
            "phase_submitted_to_enqueued",
            "phase_enqueued_to_received",
            "phase_received_to_started",
            "phase_handler",
            "phase_ended_to_recorded",
            "phase_recorded_to_next",
            "phase_recorded_to_answered",
        ];
        let sum = phases.map(median).iter().sum::<f64>() - median("phase_submit_overlap");
        let whole = median("latency_p50");
        assert!(
            (0.5..2.0).contains(&(sum / whole)),
            "{workload} {continuation:?}: {sum} of {whole} ms"
        );
        let is_handed_on = median("phase_recorded_to_next") == 0.0;
        assert_eq!(continuation, Some(is_handed_on), "{workload}");
        let enqueued = median("enqueued_on_submission");
        assert!(enqueued > 0.0 && enqueued <= 100.0, "{enqueued}");
    }
}

#[tokio::test]
async fn a_past_can_be_filled_in_and_vacuum_held_back() {
    let lines = bench(&[
        "--only",
        "submit",
        "wide",
        "--history",
        "1000",
        "--hold-vacuum",
        "1",
    ])
    .await;

    assert_eq!(lines[0]["history"], 1000);
    assert_measured(&lines, "submit.rest_batch", None);
    assert_measured(&lines, "submit.sql_single_16_clients", None);
    assert_measured(&lines, "wide.duration_p50", Some(false));
}

#[tokio::test]
async fn the_way_through_the_orchestrator_is_measured_by_notifications_and_by_polling() {
    let lines = bench(&["--only", "readiness", "readiness-polling"]).await;

    for name in [
        "readiness.p50",
        "readiness.p99",
        "readiness.steady_p99",
        "readiness-polling.p50",
        "readiness-polling.max",
    ] {
        assert_measured(&lines, name, None);
        assert!(figure(&lines, name, None)["ratio"].as_f64().unwrap() > 0.0);
    }
    let found = figure(&lines, "readiness.found_by_polls", None);
    assert!(found["median"].as_f64().unwrap() < 0.5, "{found}");
    let median = |name| figure(&lines, name, None)["median"].as_f64().unwrap();
    assert!(median("readiness.p50") < median("readiness-polling.p50"));
}

#[tokio::test]
async fn a_median_above_its_limit_fails_the_run() {
    let only = ["--only", "machine"];
    let limit = ["--at-most", "machine.durable_commits_1_client=0"];
    let output = quick(&[only, limit].concat(), &[]).await;

    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("above 0"), "{error}");
    assert!(!output.stdout.is_empty(), "the figures are printed first");
}

#[tokio::test]
async fn missing_programs_of_postgresql_are_told_with_how_to_install_them() {
    let nothing = env!("CARGO_MANIFEST_DIR");
    let output = quick(&[], &[("TASKER_PG_BIN", nothing)]).await;

    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(nothing), "{error}");
    assert!(error.contains("apt-get install postgresql"), "{error}");
}

#[tokio::test]
async fn days_of_history_are_made_by_moving_the_clock_and_leave_again() {
    let lines = bench(&["--only", "history", "--days", "9", "--tasks-a-day", "10"]).await;
    for name in [
        "history.size_second_quarter",
        "history.size_last_quarter",
        "history.without_pruning",
        "history.with_pruning",
    ] {
        assert_measured(&lines, name, None);
    }
}
