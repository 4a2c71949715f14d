//! The roles as processes: they work together, report what they do, and stop when they are told.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use nix::sys::signal::Signal;
use serde_json::Value;
use tasker_testing::{TaskerBinary, TaskerProcess, TestDatabase, WAIT_TIMEOUT, wait_until};

use crate::common::{FAILING, LINEAR, apply, submit, tasker_on};

/// An orchestrator and a worker on a database, and the address of the API.
struct Roles {
    orchestrator: TaskerProcess,
    worker: TaskerProcess,
    api: String,
}

async fn start(url: &str) -> Roles {
    let binary = TaskerBinary::locate();
    let environment = [("DATABASE_URL", url)];
    let args = ["orchestrator", "--bind", "127.0.0.1:0", "--json"];
    let mut orchestrator = binary.spawn(&args, &environment);
    let mut worker = binary.spawn(&["worker", "--json"], &environment);
    let line = orchestrator.wait_for_line("\"api\"", WAIT_TIMEOUT).await;
    worker.wait_for_line("\"worker\"", WAIT_TIMEOUT).await;
    let answer: Value = serde_json::from_str(&line).unwrap();
    let api = answer["api"].as_str().unwrap().to_owned();
    Roles {
        orchestrator,
        worker,
        api,
    }
}

#[tokio::test]
async fn a_submitted_task_is_run_to_its_end() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let mut roles = start(db.url()).await;
    let args = [
        "task",
        "submit",
        "shop/linear",
        "--context",
        "{\"order_id\": 1}",
        "--wait",
        "--json",
    ];
    let submitted = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(submitted["task"]["state"], "complete");
    assert_eq!(submitted["task"]["steps"][1]["result"]["answer"], 42);

    let task = submitted["task_uuid"].as_str().unwrap();
    let shown = tasker_on(db.url(), &["task", "show", task]).await.ok();
    assert!(shown.stdout.contains("first   complete  1/3"), "{shown:#?}");
    tasker_on(db.url(), &["doctor"]).await.ok();

    for role in [&mut roles.worker, &mut roles.orchestrator] {
        let status = role.terminate(WAIT_TIMEOUT).await;
        assert!(status.success(), "{status}: {}", role.output());
    }
}

#[tokio::test]
async fn a_task_that_fails_fails_the_command_that_waits_for_it() {
    let db = TestDatabase::create().await;
    apply(db.url(), FAILING).await;
    let roles = start(db.url()).await;
    let args = ["task", "submit", "shop/failing", "--wait"];
    let answer = tasker_on(db.url(), &args).await;
    assert_eq!(answer.status, Some(1), "{answer:#?}");
    assert!(answer.stdout.contains("\nerror after "), "{answer:#?}");
    assert!(
        answer.stdout.contains("\nsecond: handler_failed"),
        "{answer:#?}"
    );

    let task = answer.stdout.lines().next().unwrap();
    let shown = tasker_on(db.url(), &["task", "show", task]).await.ok();
    let advice = format!("tasker step retry {} second", &task[24..32]);
    assert!(shown.stdout.contains(&advice), "{shown:#?}");

    let args = ["step", "resolve", task, "second", "--result", "{}"];
    tasker_on(db.url(), &args).await.ok();
    let watched = tasker_on(db.url(), &["task", "show", task, "--watch", "--ascii"])
        .await
        .ok();
    assert!(
        watched.stdout.ends_with("task: in_progress -> complete\n"),
        "{watched:#?}"
    );
    drop(roles);
}

#[tokio::test]
async fn a_watched_task_streams_documents_until_it_ends() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let _roles = start(db.url()).await;
    let args = ["task", "show", &task, "--watch", "--json"];
    let watched = tasker_on(db.url(), &args).await.ok();
    let documents: Vec<Value> = watched
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.last().unwrap()["state"], "complete");
}

#[tokio::test]
async fn a_worker_serves_its_probes_where_it_is_told_to() {
    let db = TestDatabase::create().await;
    let args = ["worker", "--bind", "127.0.0.1:0", "--json"];
    let mut worker = TaskerBinary::locate().spawn(&args, &[("DATABASE_URL", db.url())]);
    let line = worker.wait_for_line("\"worker\"", WAIT_TIMEOUT).await;
    let answer: Value = serde_json::from_str(&line).unwrap();
    let probes = answer["probes"].as_str().unwrap();
    let metrics = get(&format!("{probes}/metrics")).await;
    assert!(metrics.1.contains("tasker_"), "{metrics:?}");
    assert_eq!(get(&format!("{probes}/health/live")).await.0, 200);
    assert_eq!(get(&format!("{probes}/v1/tasks")).await.0, 404);
}

#[tokio::test]
async fn an_orchestrator_is_ready_when_its_loops_run() {
    let db = TestDatabase::create().await;
    let roles = start(db.url()).await;
    let ready = format!("{}/health/ready", roles.api);
    wait_until("the orchestrator is ready", WAIT_TIMEOUT, async || {
        get(&ready).await.0 == 200
    })
    .await;
    let (_, text) = get(&ready).await;
    assert!(text.contains("command_processor"), "{text}");
}

#[tokio::test]
async fn health_tells_a_process_that_is_ready_from_one_that_is_not() {
    let db = TestDatabase::create().await;
    let roles = start(db.url()).await;
    let api = roles.api.clone();
    let args = ["health", "--url", &api];
    wait_until("the orchestrator is healthy", WAIT_TIMEOUT, async || {
        tasker_on(db.url(), &args).await.status == Some(0)
    })
    .await;
    sqlx::query("alter table tasker.applied_files rename to elsewhere")
        .execute(&mut db.connect().await)
        .await
        .unwrap();
    let refused = tasker_on(db.url(), &args).await;
    refused.refused(1, &["not ready: schema"]);
    drop(roles);
    tasker_on(db.url(), &args)
        .await
        .refused(1, &["does not answer"]);
}

#[tokio::test]
async fn health_finds_a_worker_without_probes_in_the_database() {
    let db = TestDatabase::create().await;
    let args = ["health", "--registered"];
    tasker_on(db.url(), &args)
        .await
        .refused(1, &["of the host"]);
    let roles = start(db.url()).await;
    wait_until("a process has registered", WAIT_TIMEOUT, async || {
        tasker_on(db.url(), &args).await.status == Some(0)
    })
    .await;
    let environment = [("DATABASE_URL", db.url()), ("INSTANCE_ID", "another")];
    let output = TaskerBinary::locate().run(&args, &environment).await;
    assert_eq!(output.status.code(), Some(1));
    drop(roles);
}

#[tokio::test]
async fn a_role_waits_for_its_database_and_stops_when_it_is_told_while_it_waits() {
    let environment = [("DATABASE_URL", "postgres://app:secret@127.0.0.1:1/app")];
    let mut worker = TaskerBinary::locate().spawn(&["worker"], &environment);
    let line = worker
        .wait_for_line("waiting for the database", WAIT_TIMEOUT)
        .await;
    assert!(!line.contains("secret"), "{line}");
    worker.signal(Signal::SIGINT);
    assert!(worker.wait(WAIT_TIMEOUT).await.success());
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_that_still_drains() {
    let db = TestDatabase::create().await;
    let patient = "\
namespace: shop
name: patient
version: 1.0.0
steps:
  - { name: wait, handler: builtin.sleep, input: { ms: 600000 }, timeout_ms: 700000 }
";
    apply(db.url(), patient).await;
    let mut roles = start(db.url()).await;
    let task = submit(db.url(), "shop/patient", "{}").await;
    let args = ["task", "show", &task, "--json"];
    wait_until("the step runs", WAIT_TIMEOUT, async || {
        let shown = tasker_on(db.url(), &args).await.ok().json();
        shown["steps"][0]["state"] == "in_progress"
    })
    .await;
    roles.worker.signal(Signal::SIGTERM);
    roles
        .worker
        .wait_for_line("the worker drains", WAIT_TIMEOUT)
        .await;
    assert!(roles.worker.exited().is_none());
    roles.worker.signal(Signal::SIGTERM);
    assert_eq!(roles.worker.wait(WAIT_TIMEOUT).await.code(), Some(130));
}

async fn get(url: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}
