//! `tasker demo`: everything at work, as lines where there is no terminal.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tasker_testing::{TaskerBinary, WAIT_TIMEOUT};

use crate::common::tasker;

#[tokio::test]
async fn the_demonstration_shows_a_retry_a_failure_and_a_summary() {
    let demo = tasker(&["demo", "--ascii"]).await.ok();
    for part in [
        "order 3 charge: in_progress -> waiting_for_retry (attempt 2/5)",
        "order 3 charge: in_progress -> complete (attempt 3/5)",
        "order 8 ship: in_progress -> error",
        "order 8: in_progress -> error",
        "order 12: in_progress -> complete",
        "\nORDER ",
        "\nTEMPLATE ",
        "doctor: 11 invariants hold",
    ] {
        assert!(demo.stdout.contains(part), "{part:?} is not in {demo:#?}");
    }
    assert!(demo.stdout.is_ascii());
}

#[tokio::test]
async fn the_demonstration_is_one_document_for_a_machine() {
    let demo = tasker(&["demo", "--json"]).await.ok().json();
    let tasks = demo["tasks"].as_array().unwrap();
    let in_state = |state: &str| tasks.iter().filter(|task| task["state"] == state).count();
    assert_eq!((in_state("complete"), in_state("error")), (11, 1));
    assert_eq!(demo["findings"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn an_interrupted_demonstration_leaves_no_process() {
    let mut demo = TaskerBinary::locate().spawn(&["demo"], &[]);
    let line = demo.wait_for_line("run after", WAIT_TIMEOUT).await;
    demo.signal(Signal::SIGINT);
    let status = demo.wait(WAIT_TIMEOUT).await;
    assert_eq!(status.code(), Some(1), "{}", demo.output());
    assert!(demo.output().contains("stopped before the end"));
    for pid in processes(&line) {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!command.contains("tasker"), "{pid}: {command}");
    }
}

#[tokio::test]
async fn a_demonstration_whose_worker_dies_says_so_and_where_the_logs_are() {
    let mut demo = TaskerBinary::locate().spawn(&["demo"], &[]);
    let line = demo.wait_for_line("run after", WAIT_TIMEOUT).await;
    let worker = processes(&line)[1].parse().unwrap();
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    assert_eq!(demo.wait(WAIT_TIMEOUT).await.code(), Some(1));
    let output = demo.output();
    assert!(
        output.contains("error: the worker ended by itself (signal: 9"),
        "{output}"
    );
    let (_, logs) = output
        .split_once("the logs of all processes are in ")
        .unwrap();
    let logs = Path::new(logs.lines().next().unwrap());
    assert!(logs.join("worker.log").is_file() && logs.join("orchestrator.log").is_file());
    std::fs::remove_dir_all(logs).unwrap();
}

/// The orchestrator and the worker, from the line that names them.
fn processes(line: &str) -> Vec<&str> {
    let processes = line.split("process ").skip(1);
    let processes: Vec<&str> = processes
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert_eq!(processes.len(), 2, "{line}");
    processes
}
