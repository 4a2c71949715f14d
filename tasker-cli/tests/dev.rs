//! `tasker dev`: a whole system in one process that cleans up behind itself.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;
use tasker_testing::{TaskerBinary, TaskerProcess, WAIT_TIMEOUT};
use tempfile::TempDir;

use crate::common::{Answer, FAILING, IN_A_CHECKOUT, LINEAR, apply, file, tasker, tasker_on};

/// A folder that the account of the server can enter.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A running system and the address of its database.
async fn start(args: &[&str], environment: &[(&str, &str)]) -> (TaskerProcess, String) {
    let args = [&["dev", "--bind", "127.0.0.1:0", "--json"], args].concat();
    let mut dev = TaskerBinary::locate().spawn(&args, environment);
    let line = dev.wait_for_line("\"database_url\"", WAIT_TIMEOUT).await;
    let answer: Value = serde_json::from_str(&line).unwrap();
    let url = answer["database_url"].as_str().unwrap().to_owned();
    (dev, url)
}

async fn stop(mut dev: TaskerProcess, signal: Signal) {
    dev.signal(signal);
    let status = dev.wait(WAIT_TIMEOUT).await;
    assert!(status.success(), "{status}: {}", dev.output());
}

/// Runs a task to its end and gives its uuid.
async fn run_a_task(url: &str) -> String {
    apply(url, LINEAR).await;
    let args = [
        "task",
        "submit",
        "shop/linear",
        "--context",
        "{\"order_id\": 1}",
        "--wait",
        "--json",
    ];
    let answer = tasker_on(url, &args).await.ok().json();
    assert_eq!(answer["task"]["state"], "complete");
    answer["task_uuid"].as_str().unwrap().to_owned()
}

/// The folder of the private server, which is in the address of its database.
fn folder_of(url: &str) -> String {
    let (_, rest) = url.split_once("host=").unwrap();
    let (socket, _) = rest.split_once('&').unwrap();
    Path::new(&socket.replace("%2F", "/"))
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn an_ephemeral_system_runs_tasks_and_leaves_nothing_behind() {
    let elsewhere = ("DATABASE_URL", "postgres://app:secret@127.0.0.1:1/app");
    let (dev, url) = start(&["--ephemeral"], &[elsewhere]).await;
    assert!(dev.output().contains("DATABASE_URL is set but not used"));
    run_a_task(&url).await;
    tasker_on(&url, &["doctor"]).await.ok();
    let folder = folder_of(&url);
    assert!(Path::new(&folder).is_dir(), "{folder}");
    stop(dev, Signal::SIGINT).await;
    assert!(!Path::new(&folder).exists(), "{folder}");
}

#[tokio::test]
async fn the_next_start_finds_the_data_again() {
    let dir = open_dir();
    let data = dir.path().join("pg");
    let args = ["--data-dir", data.to_str().unwrap()];
    let (dev, url) = start(&args, &[]).await;
    let task = run_a_task(&url).await;
    stop(dev, Signal::SIGTERM).await;

    let (dev, url) = start(&args, &[]).await;
    let shown = tasker_on(&url, &["task", "show", &task, "--json"])
        .await
        .ok();
    assert_eq!(shown.json()["state"], "complete");
    stop(dev, Signal::SIGINT).await;
}

#[tokio::test]
async fn two_systems_do_not_share_a_folder() {
    let dir = open_dir();
    let data = dir.path().join("pg");
    let data = data.to_str().unwrap();
    let (dev, url) = start(&["--data-dir", data], &[]).await;
    let args = ["dev", "--bind", "127.0.0.1:0", "--data-dir", data];
    tasker(&args)
        .await
        .refused(1, &["already runs", data, "hint:", "--data-dir"]);
    run_a_task(&url).await;
    stop(dev, Signal::SIGINT).await;
}

/// Runs a command of an account whose running systems are listed in this folder.
async fn tasker_beside(runtime: &TempDir, args: &[&str]) -> Answer {
    let folder = runtime.path().to_str().unwrap();
    let variables = [
        ("XDG_RUNTIME_DIR", folder),
        ("COLUMNS", "80"),
        ("LANG", "C.UTF-8"),
        IN_A_CHECKOUT,
    ];
    Answer::of(args, TaskerBinary::locate().run(args, &variables).await)
}

#[tokio::test]
async fn commands_find_the_system_that_runs_and_say_so_once() {
    let (runtime, dir) = (tempfile::tempdir().unwrap(), open_dir());
    let data = dir.path().join("pg");
    let data = data.to_str().unwrap();
    let folder = [("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap())];
    let none = tasker_beside(&runtime, &["task", "list"]).await;
    none.refused(1, &[]);
    let (dev, url) = start(&["--data-dir", data], &folder).await;
    for step in ["making a PostgreSQL in", "bringing its schema up to date"] {
        assert!(dev.output().contains(step), "{}", dev.output());
    }

    let template = file(FAILING, ".yaml");
    let apply = ["template", "apply", template.path().to_str().unwrap()];
    let applied = tasker_beside(&runtime, &apply).await.ok();
    let remark = format!(
        "using the database of `tasker dev` (process {}, {data})",
        dev.pid()
    );
    assert_eq!(applied.stderr.matches(&remark).count(), 1, "{applied:#?}");
    let named = tasker_on(&url, &["task", "list"]).await.ok();
    assert_eq!(named.stderr, "");

    let submit = ["task", "submit", "shop/failing", "--wait"];
    let submitted = tasker_beside(&runtime, &submit).await;
    assert_eq!(submitted.status, Some(1), "{submitted:#?}");
    let uuid = submitted.stdout.lines().next().unwrap();
    let listed = tasker_beside(&runtime, &["task", "list", "--step", "second"])
        .await
        .ok();
    let [heading, task] = listed.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{listed:#?}");
    };
    let heading: Vec<&str> = heading.split_whitespace().collect();
    assert_eq!(
        heading,
        ["TASK", "STATE", "TEMPLATE", "AGE", "TIME", "FAILED"]
    );
    assert!(task.starts_with(&uuid[24..32]), "{task}");
    assert!(task.ends_with("second: failed on purpose"), "{task}");

    let again = ["dev", "--bind", "127.0.0.1:0", "--data-dir", data];
    let again = tasker_beside(&runtime, &again).await;
    let pid = format!("process {}", dev.pid());
    again.refused(1, &["runs already", &pid, data, "API       http://", &url]);

    let other = start(&["--ephemeral"], &folder).await;
    let ambiguous = tasker_beside(&runtime, &["task", "list"]).await;
    let ways = [&url, &other.1].map(|url| format!("export DATABASE_URL='{url}'"));
    ambiguous.refused(1, &["more than one `tasker dev`", &ways[0], &ways[1]]);
    stop(other.0, Signal::SIGINT).await;
    tasker_beside(&runtime, &["doctor"]).await.ok();

    let mut dev = dev;
    dev.kill9();
    let gone = tasker_beside(&runtime, &["task", "list"]).await;
    assert!(!gone.stderr.contains("using the database of"), "{gone:#?}");
}

#[tokio::test]
async fn waiting_for_a_task_ends_with_the_results_of_its_last_steps() {
    let (dev, url) = start(&["--ephemeral"], &[]).await;
    apply(&url, LINEAR).await;
    let context = "{\"order_id\": 1}";
    let args = [
        "task",
        "submit",
        "shop/linear",
        "--wait",
        "--context",
        context,
    ];
    let answer = tasker_on(&url, &args).await.ok();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(lines[2..], ["second: {\"answer\":42}"], "{answer:#?}");
    stop(dev, Signal::SIGINT).await;
}

#[tokio::test]
async fn a_folder_of_something_else_is_left_alone() {
    let dir = open_dir();
    fs::write(dir.path().join("thesis.tex"), "precious").unwrap();
    let folder = dir.path().to_str().unwrap();
    let args = ["dev", "--bind", "127.0.0.1:0", "--data-dir", folder];
    tasker(&args).await.refused(1, &[folder]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn missing_programs_of_postgresql_are_told_with_how_to_install_them() {
    let nothing = tempfile::tempdir().unwrap();
    let folder = nothing.path().to_str().unwrap();
    let binary = TaskerBinary::locate();
    for args in [
        &["dev", "--bind", "127.0.0.1:0", "--ephemeral"][..],
        &["demo"],
    ] {
        let output = binary.run(args, &[("TASKER_PG_BIN", folder)]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(
            error.contains(folder) && error.contains("apt-get install postgresql"),
            "{error}"
        );
    }
}
