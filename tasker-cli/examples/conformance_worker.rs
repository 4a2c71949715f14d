//! The handlers of `workers/conformance`, for the worker in Rust.

use std::env;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tasker_worker::{HandlerError, Handlers, Outcome, RunError, Step, Worker};

type Answer = Result<Value, HandlerError>;

async fn sum(step: Step) -> Result<i64, HandlerError> {
    let given = step.dependencies().values();
    Ok(1 + given.filter_map(Value::as_i64).sum::<i64>())
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
}

async fn fetched(step: Step<Value, Names>) -> Result<i64, HandlerError> {
    let mut sum = 0;
    for name in &step.input.names {
        sum += step.fetch_dependency::<i64>(name).await?;
    }
    Ok(sum)
}

async fn given(step: Step) -> Answer {
    Ok(json!({
        "context": step.context,
        "input": step.input,
        "dependencies": step.dependencies(),
        "name": step.name(),
        "handler": step.handler(),
        "namespace": step.namespace(),
        "template": step.template(),
        "attempt": step.attempt(),
        "max_attempts": step.max_attempts(),
        "cancelled": step.cancellation().is_cancelled(),
    }))
}

#[derive(Deserialize)]
struct RetryAfter {
    times: i32,
    after_ms: u64,
}

async fn retry_after(step: Step<Value, RetryAfter>) -> Outcome {
    if step.attempt() <= step.input.times {
        return Outcome::retry("busy").after(Duration::from_millis(step.input.after_ms));
    }
    Outcome::complete(step.attempt())
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

async fn refuse(step: Step<Value, Message>) -> Answer {
    let refused = HandlerError::fail(step.input.message).kind("no_card");
    Err(refused.details(json!({ "card": 4 })))
}

async fn error(step: Step<Value, Message>) -> Answer {
    Err(std::io::Error::other(step.input.message))?
}

async fn error_with_nul(_step: Step) -> Answer {
    Err(std::io::Error::other("a\0b"))?
}

async fn hang(_step: Step) -> Answer {
    std::future::pending().await
}

async fn until_cancelled(step: Step) -> Answer {
    step.cancellation().cancelled().await;
    Ok(json!("wound down"))
}

#[derive(Deserialize)]
struct Block {
    ms: u64,
}

/// Blocks its thread on purpose: heartbeats must not depend on what handlers do.
async fn block(step: Step<Value, Block>) -> Answer {
    thread::sleep(Duration::from_millis(step.input.ms));
    Ok(Value::Null)
}

#[derive(Deserialize)]
struct Large {
    bytes: usize,
}

async fn large(step: Step<Value, Large>) -> Answer {
    Ok(json!("x".repeat(step.input.bytes)))
}

async fn length(step: Step) -> Result<usize, HandlerError> {
    Ok(step.dependency::<String>("large")?.len())
}

async fn nul(_step: Step) -> Answer {
    Ok(json!({ "text": "a\0b" }))
}

#[derive(Deserialize)]
struct Deep {
    levels: usize,
}

async fn deep(step: Step<Value, Deep>) -> Answer {
    Ok((0..step.input.levels).fold(Value::Null, |inner, _| json!([inner])))
}

async fn in_rust(_step: Step) -> Answer {
    Ok(json!("rust"))
}

async fn late(_step: Step) -> Answer {
    Ok(json!("late"))
}

#[tokio::main]
async fn main() -> Result<(), RunError> {
    let mut handlers = Handlers::new()
        .register("conformance.sum", sum)
        .register("conformance.fetched", fetched)
        .register("conformance.given", given)
        .register("conformance.retry_after", retry_after)
        .register("conformance.refuse", refuse)
        .register("conformance.error", error)
        .register("conformance.error_with_nul", error_with_nul)
        .register("conformance.hang", hang)
        .register("conformance.until_cancelled", until_cancelled)
        .register("conformance.block", block)
        .register("conformance.large", large)
        .register("conformance.length", length)
        .register("conformance.nul", nul)
        .register("conformance.deep", deep)
        .register("conformance.in_rust", in_rust);
    if env::var_os("CONFORMANCE_LATE").is_some() {
        handlers = handlers.register("conformance.late", late);
    }
    Worker::run(handlers).await
}
