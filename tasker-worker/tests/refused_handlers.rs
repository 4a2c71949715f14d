//! What the compiler says of a function that is registered as a handler and is not one.
//!
//! Each case is given to the compiler that builds this test, with the library that cargo put beside
//! it; a check by cargo would build every dependency a second time. Versions of the compiler word the
//! frame differently, so only our own texts and the place that is pointed at are compared.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the compiler prints for the file of that name; empty where it has nothing against it.
fn answer(case: &str) -> String {
    let test = env::current_exe().unwrap();
    let dependencies = test.parent().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused_handlers");
    let answered = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")))
        .args([
            "--edition=2024",
            "--crate-type=bin",
            "--emit=metadata",
            "-o",
        ])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{case}.rmeta")))
        .arg("-L")
        .arg(flag("dependency=", dependencies))
        .arg("--extern")
        .arg(flag("tasker_worker=", &library(dependencies)))
        .arg(source.join(case).with_extension("rs"))
        .output()
        .unwrap();
    let said = String::from_utf8(answered.stderr).unwrap();
    assert_eq!(answered.status.success(), said.is_empty(), "{said}");
    said
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

/// The library as it was built last: cargo builds it before this test.
fn library(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let libraries = files.filter(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with("libtasker_worker-") && name.ends_with(".rlib")
    });
    libraries
        .max_by_key(|file| file.metadata().unwrap().modified().unwrap())
        .expect("cargo builds the library for its tests")
}

/// Says that the answer has these texts and points into this line of the case.
#[track_caller]
fn assert_says(case: &str, texts: &[&str]) {
    let answer = answer(case);
    for text in texts {
        assert!(answer.contains(text), "{text:?} is not in\n{answer}");
    }
}

/// The title of a section of the guide exists.
#[track_caller]
fn assert_refers_to(case: &str, section: &str) {
    assert_says(
        case,
        &[&format!(
            "tasker_worker::handlers_guide, section \"{section}\""
        )],
    );
    let guide = include_str!("../src/handlers_guide.rs");
    assert!(guide.contains(&format!("//! # {section}\n")), "{section}");
}

#[test]
fn a_handler_is_accepted() {
    assert_eq!(answer("accepted"), "");
}

#[test]
fn a_function_that_is_not_async_is_told_so() {
    assert_says(
        "not_async",
        &[
            "the handler is not async: it returns `Result<(), HandlerError>`",
            "write `async fn`",
        ],
    );
    assert_refers_to("not_async", "The function is not async");
}

#[test]
fn a_context_or_an_input_without_deserialize_is_named() {
    for (case, name) in [
        ("context_not_deserialize", "Order"),
        ("input_not_deserialize", "Settings"),
    ] {
        assert_says(
            case,
            &[
                &format!("a handler cannot take `{name}`: it is not `Deserialize`"),
                &format!("struct {name};"),
                "add `#[derive(serde::Deserialize)]`",
            ],
        );
        assert_refers_to(case, "The context or the input cannot be read");
    }
}

#[test]
fn a_result_without_serialize_is_named() {
    assert_says(
        "result_not_serialize",
        &[
            "a handler cannot return `Receipt`: it is not `Serialize`",
            "add `#[derive(serde::Serialize)]`",
        ],
    );
    assert_refers_to("result_not_serialize", "The result cannot be written");
}

#[test]
fn what_is_no_result_and_what_is_no_error_are_named() {
    assert_says("no_result", &["a handler cannot return `u64`"]);
    assert_refers_to("no_result", "The function returns something else");
    assert_says(
        "error_not_an_error",
        &[
            "a handler cannot fail with `String`",
            "`HandlerError::retry`",
        ],
    );
    assert_refers_to("error_not_an_error", "The error is not an error");
}

#[test]
fn what_keeps_a_future_in_its_thread_is_pointed_at() {
    assert_says(
        "not_send",
        &[
            "future cannot be sent between threads safely",
            "let amount = Rc::new(1);",
            "std::future::ready(()).await;",
        ],
    );
    assert_says("captured_rc", &["`Rc<u64>` cannot be sent between threads"]);
}

#[test]
fn another_argument_than_a_step_is_answered_with_the_form_of_a_handler() {
    for case in [
        "wrong_argument",
        "two_arguments",
        "borrowed_step",
        "no_handler_at_all",
    ] {
        assert_says(
            case,
            &[
                "is not a handler",
                "neither a function of one `Step` nor a type that implements `Handler`",
                "`async fn(step: Step<Context, Input>) -> Result<T, HandlerError>`",
            ],
        );
        assert_refers_to(case, "The argument is not a step");
    }
}
