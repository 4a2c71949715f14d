//! The world that users test their workflows in: time moves where they say, failures are readable,
//! and tests side by side do not meet.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod an_order;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use tasker_shared::supervisor::panic_message;
use tasker_worker::testing::{StepState, TaskState, World};
use tasker_worker::{HandlerError, Handlers, Step};

const HOUR: Duration = Duration::from_hours(1);

/// A template with one step.
fn one(handler: &str) -> String {
    format!(
        "namespace: shop\nname: one\nversion: 1.0.0\n\
         defaults: {{ retry: {{ max_attempts: 4 }} }}\n\
         steps:\n  - {{ name: only, handler: {handler} }}\n"
    )
}

/// Fails twice, and is to be tried again after an hour each time.
async fn patient(step: Step) -> Result<i32, HandlerError> {
    match step.attempt() {
        1 | 2 => Err(HandlerError::retry("not yet").after(HOUR)),
        attempt => Ok(attempt),
    }
}

async fn hang(_step: Step) -> Result<(), HandlerError> {
    std::future::pending().await
}

fn handlers() -> Handlers {
    Handlers::new()
        .register("patient", patient)
        .register("hang", hang)
}

/// The text of the panic that ends the future.
async fn panic_of(future: impl Future<Output = ()>) -> String {
    let panic = AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
    panic_message(panic.as_ref())
}

#[tokio::test]
async fn a_run_to_the_end_waits_for_no_retry() {
    let world = World::start(handlers()).await;
    world.apply(&one("patient")).await;
    let task = world.submit("shop/one", json!({})).await;

    let ran = world.run(task).await;

    ran.assert_complete();
    assert_eq!(ran.step("only").attempts, 3);
    assert_eq!(ran.result::<i32>("only"), 3);
    let created = ran.detail.summary.created_at;
    let took = ran.detail.summary.finished_at.unwrap() - created;
    assert!(took.to_std().unwrap() >= 2 * HOUR, "{took}");
    world.end().await;
}

#[tokio::test]
async fn time_that_moves_in_parts_adds_up_and_later_retries_count_from_there() {
    let world = World::start(handlers()).await;
    world.apply(&one("patient")).await;
    let task = world.submit("shop/one", json!({})).await;
    world.run_until_waiting(task).await;

    for attempts in [1, 2, 2, 3] {
        world.advance(HOUR / 2).await;
        let ran = world.run_until_waiting(task).await;
        assert_eq!(ran.step("only").attempts, attempts);
    }

    assert_eq!(world.task(task).await.state(), TaskState::Complete);
    world.end().await;
}

#[tokio::test]
async fn worlds_side_by_side_do_not_meet() {
    let (first, second) = (
        World::start(handlers()).await,
        World::start(handlers()).await,
    );
    first.apply(&one("builtin.noop")).await;
    second.apply(&one("patient")).await;
    let task = second.submit("shop/one", json!({})).await;
    first.advance(HOUR * 24).await;

    let ran = second.run_until_waiting(task).await;

    assert_eq!(ran.step("only").state, StepState::WaitingForRetry);
    let other = first.submit("shop/one", json!({})).await;
    first.run(other).await.assert_complete();
    assert_eq!(second.task(task).await.step("only").attempts, 1);
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn a_workflow_that_fails_names_the_step_and_its_error() {
    let world = World::start(handlers()).await;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("one.yaml");
    fs::write(&file, one("builtin.fail")).unwrap();
    world.apply_file(&file).await;
    let task = world.submit("shop/one@1.0.0", json!({})).await;

    let ran = world.run(task).await;

    assert_eq!(ran.state(), TaskState::Error);
    assert_eq!(ran.step("only").attempts, 4);
    let text = panic_of(async { ran.assert_complete() }).await;
    let expected = "the task is not complete:\nshop/one: error\n  only (builtin.fail): error, \
                    4 of 4 attempts, handler_failed: failed on purpose";
    assert_eq!(text, expected);
    let text = panic_of(async { drop(ran.result::<Value>("only")) }).await;
    assert!(text.starts_with("step \"only\" has no result"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn a_template_with_a_handler_that_is_not_registered_is_refused_with_those_that_are() {
    let world = World::start(handlers()).await;

    let text = panic_of(world.apply(&one("patent"))).await;

    assert!(text.contains("needs the handler \"patent\""), "{text}");
    assert!(text.contains("hang, patient"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn a_run_that_does_not_end_says_where_it_stands() {
    let world = World::start(handlers()).await;
    let world = world.with_longest_run(Duration::from_millis(200));
    world.apply(&one("hang")).await;
    let task = world.submit("shop/one", json!({})).await;

    let text = panic_of(async { drop(world.run(task).await) }).await;

    assert!(text.contains("the task still runs"), "{text}");
    assert!(text.contains("only (hang): in_progress"), "{text}");
}
