//! The binary as a person runs it: arguments in, texts and an exit status out.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and each test file uses a part of this"
)]

use std::process::Output;

use serde_json::Value;
use tasker_testing::TaskerBinary;

/// A command finds the configuration of a checkout of Tasker, which repeats the defaults.
pub(crate) const IN_A_CHECKOUT: (&str, &str) = (
    "TASKER_CONFIG_DIR",
    concat!(env!("CARGO_MANIFEST_DIR"), "/../config/tasker"),
);

/// Runs a command without a database.
pub(crate) async fn tasker(args: &[&str]) -> Answer {
    Answer::of(args, TaskerBinary::locate().run(args, &[]).await)
}

/// Runs a command on a database.
pub(crate) async fn tasker_on(url: &str, args: &[&str]) -> Answer {
    let environment = [("DATABASE_URL", url)];
    Answer::of(args, TaskerBinary::locate().run(args, &environment).await)
}

/// Runs a command on a database, with other variables in its environment.
pub(crate) async fn tasker_with(url: &str, args: &[&str], variables: &[(&str, &str)]) -> Answer {
    let environment = [&[("DATABASE_URL", url)], variables].concat();
    Answer::of(args, TaskerBinary::locate().run(args, &environment).await)
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Answer {
    command: String,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(args: &[&str], output: Output) -> Self {
        Self {
            command: args.join(" "),
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The answer of a command that did what it was asked.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:#?}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Says that the command failed with this status and these texts, and with nothing that a
    /// person could not use.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, texts: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:#?}");
        // Commands that take their time say before what they do.
        let mut lines = self.stderr.lines().skip_while(|line| line.ends_with('…'));
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("error: "), "{self:#?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        }
        for never in ["panicked", "stack backtrace", "RUST_BACKTRACE", "secret"] {
            assert!(!self.stderr.contains(never), "{never:?} is in {self:#?}");
        }
    }
}

/// A chain of two steps; the second fails permanently.
pub(crate) const FAILING: &str = "\
namespace: shop
name: failing
version: 1.0.0
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.fail, depends_on: [first], input: { retryable: false } }
  - { name: third, handler: builtin.noop, depends_on: [second] }
";

/// A chain of two steps.
pub(crate) const LINEAR: &str = "\
namespace: shop
name: linear
version: 1.0.0
input_schema: { type: object, required: [order_id] }
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.echo, depends_on: [first], input: { answer: 42 } }
";

/// A file with this text.
pub(crate) fn file(text: &str, suffix: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Applies a template.
pub(crate) async fn apply(url: &str, template: &str) {
    let file = file(template, ".yaml");
    let path = file.path().to_str().unwrap();
    tasker_on(url, &["template", "apply", path]).await.ok();
}

/// Submits a task and gives its uuid.
pub(crate) async fn submit(url: &str, template: &str, context: &str) -> String {
    let args = ["task", "submit", template, "--context", context, "--json"];
    let answer = tasker_on(url, &args).await.ok().json();
    answer["task_uuid"].as_str().unwrap().to_owned()
}
