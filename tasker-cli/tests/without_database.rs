//! What the binary does that needs no database, and what it says when it cannot reach one.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::net::TcpListener;
use std::process::{Command, Stdio};

use tasker_testing::TaskerBinary;

use crate::common::{Answer, IN_A_CHECKOUT, LINEAR, file, tasker, tasker_on};

/// Nobody listens on port 1.
const NOBODY: &str = "postgres://app:secret@127.0.0.1:1/app";

#[tokio::test]
async fn wrong_usage_ends_with_status_2() {
    for (args, text) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["task", "show", "nonsense"], "invalid value 'nonsense'"),
        (&["task", "show", "nonsense"], "at least 4 digits of it"),
        (&["task", "show"], "<TASK>"),
        (&["task", "list", "--since", "yesterday"], "30m, 2h"),
        (&["task", "submit", "order"], "NAMESPACE/NAME"),
        (
            &["task", "list", "--state", "done"],
            "expected one of pending",
        ),
        (&["task", "list", "--limit", "0"], "0 is not in 1..=10000"),
        (&["task", "submit", "a/b", "--wait-timeout", "1"], "--wait"),
        (&["template", "apply"], "<FILE>"),
        (
            &["dev", "--ephemeral", "--data-dir", "x"],
            "cannot be used with",
        ),
        (&["worker", "--namespace", "No"], "a lower-case letter"),
        (&["orchestrator", "--bind", "here"], "as in 127.0.0.1:8080"),
        (&["dev", "--bind", "8080"], "ADDR:PORT: 127.0.0.1:8080 is"),
        (&["worker", "--bind", "localhost:81"], "as in 127.0.0.1:81"),
        (
            &["dev", "--database-url", NOBODY],
            "starts a database of its own",
        ),
        (
            &["demo", "--database-url", NOBODY],
            "starts a database of its own",
        ),
    ] {
        tasker(args).await.refused(2, &[text]);
    }
}

#[tokio::test]
async fn the_version_names_the_release_and_the_commit() {
    let git = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let commit = git.ok().filter(|git| git.status.success());
    let commit = commit.map(|git| String::from_utf8(git.stdout).unwrap());

    let version = tasker(&["--version"]).await.ok().stdout;

    let release = concat!("tasker ", env!("CARGO_PKG_VERSION"));
    // An archive of the sources has no commit.
    let expected = commit.map_or(release.to_owned(), |commit| {
        format!("{release} ({})", &commit[..12])
    });
    assert_eq!(version.trim_end(), expected);
}

#[tokio::test]
async fn help_is_no_error_and_shows_every_command() {
    let help = tasker(&["--help"]).await.ok();
    for command in [
        "dev",
        "demo",
        "orchestrator",
        "worker",
        "migrate",
        "config",
        "template",
        "task",
        "step",
        "queue",
        "doctor",
        "health",
        "openapi",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{command}"
        );
    }
}

#[tokio::test]
async fn documents_for_machines_are_json() {
    for args in [
        &["openapi"][..],
        &["template", "schema"],
        &["config", "show", "--json"],
        &["config", "validate", "--json"],
    ] {
        assert!(tasker(args).await.ok().json().is_object(), "{args:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_of_the_configuration_is_named() {
    assert_not_usable("TASKER__WORKER__CONCURENCY", "TASKER__WORKER__CONCURENCY").await;
}

#[tokio::test]
async fn a_variable_that_would_set_no_key_is_refused_with_the_name_that_is_meant() {
    assert_not_usable("TASKER_WORKER__CONCURRENCY", "TASKER__WORKER__CONCURRENCY").await;
}

/// Expects every command to refuse this variable with this text.
async fn assert_not_usable(variable: &str, text: &str) {
    let binary = TaskerBinary::locate();
    for args in [&["config", "validate"][..], &["task", "list"], &["worker"]] {
        let output = binary.run(args, &[(variable, "5")]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(
            error.starts_with("error: the configuration is not usable") && error.contains(text),
            "{args:?}: {error}"
        );
    }
}

#[tokio::test]
async fn the_configuration_shows_no_password() {
    let shown = tasker_on(NOBODY, &["config", "show"]).await.ok();
    assert!(shown.stdout.contains("postgres://app:****@127.0.0.1:1/app"));
    assert!(!shown.stdout.contains("secret"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_named_without_its_password() {
    for args in [
        &["task", "list"][..],
        &["doctor"],
        &["migrate"],
        &["queue", "list", "--json"],
    ] {
        let answer = tasker_on(NOBODY, args).await;
        answer.refused(1, &["127.0.0.1:1", "user app", "hint:", "DATABASE_URL"]);
    }
}

#[tokio::test]
async fn without_an_address_and_without_a_running_system_it_is_told_how_to_get_one() {
    let args = ["task", "list"];
    for variables in [&[][..], &[IN_A_CHECKOUT]] {
        let output = TaskerBinary::locate().run(&args, variables).await;
        let answer = Answer::of(&args, output);
        answer.refused(1, &[]);
        // The default address leads to the server of a machine that has one.
        if answer.stderr.contains("could not connect") {
            let told = ["DATABASE_URL is not set", "start `tasker dev`"];
            answer.refused(1, &told);
        }
    }
}

#[tokio::test]
async fn an_address_that_is_no_database_is_refused() {
    let args = ["task", "list", "--database-url", "http://u:secret@h/x"];
    tasker(&args).await.refused(1, &["postgres://"]);
}

#[tokio::test]
async fn the_option_wins_over_the_variable() {
    let args = [
        "task",
        "list",
        "--database-url",
        "postgres://other@127.0.0.1:2/db",
    ];
    tasker_on(NOBODY, &args).await.refused(1, &["127.0.0.1:2"]);
}

#[tokio::test]
async fn a_port_in_use_is_told_before_anything_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("pg");
    let folder = folder.to_str().unwrap();
    for args in [
        &["dev", "--bind", &address, "--data-dir", folder][..],
        &["orchestrator", "--bind", &address],
        &["worker", "--bind", &address],
    ] {
        let answer = tasker_on(NOBODY, args).await;
        answer.refused(1, &[&format!("{address} is in use"), "--bind"]);
    }
    assert!(!std::path::Path::new(folder).exists());
}

#[tokio::test]
async fn a_bad_template_is_refused_with_every_place_to_mend() {
    let bad = LINEAR
        .replace("[first]", "[frist]")
        .replace("builtin.noop", "''");
    let file = file(&bad, ".yaml");
    let path = file.path().to_str().unwrap();
    let answer = tasker(&["template", "validate", path]).await;
    answer.refused(
        1,
        &[
            &format!("{path}:6:"),
            &format!("{path}:7:"),
            "frist",
            "2 mistakes",
        ],
    );

    let answer = tasker(&["template", "validate", path, "--json"]).await;
    let document = answer.json();
    assert_eq!(document["valid"], false);
    assert_eq!(
        document["files"][0]["errors"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(document["files"][0]["errors"][0]["line"], 6);
}

#[tokio::test]
async fn a_built_in_handler_that_is_not_there_or_cannot_read_its_input_is_refused() {
    let bad = LINEAR
        .replace("builtin.noop", "builtin.nop")
        .replace("builtin.echo", "builtin.sleep");
    let file = file(&bad, ".yaml");
    let path = file.path().to_str().unwrap();
    let answer = tasker(&["template", "validate", path]).await;
    answer.refused(
        1,
        &[
            &format!("{path}:6:29: steps[0].handler: there is no built-in handler `builtin.nop` (did you mean `builtin.noop`?)"),
            &format!("{path}:7:"),
            "unknown key `answer`",
            "`ms` is missing",
        ],
    );
}

#[tokio::test]
async fn a_good_template_is_valid() {
    let file = file(LINEAR, ".yaml");
    let path = file.path().to_str().unwrap();
    let answer = tasker(&["template", "validate", path]).await.ok();
    assert!(
        answer
            .stdout
            .contains("shop/linear@1.0.0 is valid (2 steps)")
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let answer = tasker(&["template", "validate", "/nowhere/order.yaml"]).await;
    answer.refused(1, &["could not read /nowhere/order.yaml"]);
}

#[tokio::test]
async fn a_file_in_another_encoding_is_told_with_the_line() {
    let file = file("", ".yaml");
    let path = file.path().to_str().unwrap();
    std::fs::write(path, b"namespace: shop\nname: caf\xe9\n").unwrap();
    let context = format!("@{path}");
    for args in [
        &["template", "validate", path][..],
        &["template", "apply", path],
        &["task", "submit", "a/b", "--context", &context],
    ] {
        let answer = tasker(args).await;
        answer.refused(1, &[&format!("{path} is not UTF-8: line 2"), "iconv"]);
    }
}

#[tokio::test]
async fn a_mark_of_the_encoding_is_no_part_of_a_file() {
    let file = file(&format!("\u{feff}{LINEAR}"), ".yaml");
    let path = file.path().to_str().unwrap();
    tasker(&["template", "validate", path]).await.ok();
}

#[tokio::test]
async fn documents_that_are_nested_too_deeply_are_told_and_do_no_harm() {
    for levels in [200, 100_000] {
        let json = "[".repeat(levels) + &"]".repeat(levels);
        let context = file(&json, ".json");
        let context = format!("@{}", context.path().display());
        let answer = tasker(&["task", "submit", "a/b", "--context", &context]).await;
        answer.refused(1, &["nested too deeply: at most 127"]);

        let template = file(&format!("input_schema: {json}\n"), ".yaml");
        let path = template.path().to_str().unwrap();
        let answer = tasker(&["template", "validate", path]).await;
        answer.refused(1, &["nested deeper than 100"]);
        let template = file(&format!("{{\"input_schema\": {json}}}"), ".json");
        let path = template.path().to_str().unwrap();
        let answer = tasker(&["template", "validate", path]).await;
        answer.refused(1, &["nested deeper than 100"]);
    }
}

#[tokio::test]
async fn a_context_that_is_no_json_shows_how_to_write_it() {
    let answer = tasker(&["task", "submit", "a/b", "--context", "{order: 1}"]).await;
    answer.refused(
        1,
        &["--context is not JSON", "--context '{\"order_id\": 1}'"],
    );
}

#[test]
fn a_reader_that_has_enough_ends_the_command_quietly() {
    let program = env!("CARGO_BIN_EXE_tasker");
    // The document is larger than what a pipe holds, so the write fails when the reader is gone.
    let mut child = Command::new(program)
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
