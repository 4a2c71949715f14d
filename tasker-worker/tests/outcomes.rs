//! What becomes of a step, by what its handler does.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasker_shared::state::{StepState, TaskState};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::{Handler, HandlerError, Handlers, Outcome, Step};
use world::{World, error_of};

type Never = Result<Value, HandlerError>;

#[derive(Deserialize)]
struct Order {
    order_id: u64,
}

#[derive(Deserialize)]
struct Speed {
    speed: String,
}

#[derive(Serialize, Deserialize)]
struct Reservation {
    shelf: String,
}

async fn reserve(step: Step<Order>) -> Result<Reservation, HandlerError> {
    let shelf = format!("shelf of order {}", step.context.order_id);
    Ok(Reservation { shelf })
}

struct Shipping {
    carrier: &'static str,
}

impl Handler for Shipping {
    type Context = Order;
    type Input = Speed;
    type Output = Value;

    async fn call(&self, step: Step<Order, Speed>) -> Result<Value, HandlerError> {
        let reservation: Reservation = step.dependency("reserve")?;
        Ok(json!({
            "carrier": self.carrier,
            "speed": step.input.speed,
            "from": reservation.shelf,
        }))
    }
}

#[tokio::test]
async fn typed_handlers_get_context_input_and_dependencies_and_return_results() {
    let world = World::create().await;
    world
        .template(
            "order",
            "  - { name: reserve, handler: stock.reserve }
  - { name: ship, handler: shipping.create, depends_on: [reserve], input: { speed: express } }",
        )
        .await;
    let task = world.submit("order", json!({ "order_id": 12 })).await;
    let worker = world.start(
        Handlers::new()
            .register("stock.reserve", reserve)
            .register("shipping.create", Shipping { carrier: "DHL" }),
    );

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(
        detail.steps[1].result,
        Some(json!({ "carrier": "DHL", "speed": "express", "from": "shelf of order 12" }))
    );
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_handler_is_told_who_asks() {
    async fn facts(step: Step) -> Result<Value, HandlerError> {
        Ok(json!({
            "task": step.task_uuid(),
            "step": step.step_uuid(),
            "name": step.name(),
            "handler": step.handler(),
            "namespace": step.namespace(),
            "template": step.template(),
            "attempt": [step.attempt(), step.max_attempts()],
            "priority": step.priority(),
            "timeout_seconds": step.timeout().as_secs(),
        }))
    }
    let world = World::create().await;
    world
        .template(
            "one",
            "  - { name: only, handler: facts, timeout_ms: 5000, retry: { max_attempts: 4 } }",
        )
        .await;
    let task = world.submit("one", json!({})).await;
    let worker = world.start(Handlers::new().register("facts", facts));

    let detail = world.run_to(task, TaskState::Complete).await;

    assert_eq!(
        detail.steps[0].result,
        Some(json!({
            "task": task,
            "step": detail.steps[0].step_uuid,
            "name": "only",
            "handler": "facts",
            "namespace": "shop",
            "template": "shop/one@1.0.0",
            "attempt": [1, 4],
            "priority": 7,
            "timeout_seconds": 5,
        }))
    );
    assert_eq!(detail.steps[0].worker.as_deref(), Some(worker.name()));
}

#[tokio::test]
async fn an_error_is_retried_until_an_attempt_succeeds() {
    async fn third_time_lucky(step: Step) -> Result<i32, HandlerError> {
        if step.is_last_attempt() {
            return Ok(step.attempt());
        }
        Err(std::io::Error::other("not yet").into())
    }
    let world = World::create().await;
    let handlers = Handlers::new().register("lucky", third_time_lucky);

    let step = world
        .run_one(
            "{ name: only, handler: lucky }",
            json!({}),
            handlers,
            TaskState::Complete,
        )
        .await;

    assert_eq!((step.attempts, step.result), (3, Some(json!(3))));
}

#[tokio::test]
async fn an_error_in_every_attempt_fails_the_step() {
    let world = World::create().await;

    let step = world
        .run_one(
            "{ name: only, handler: builtin.fail, input: { message: no luck } }",
            json!({}),
            Handlers::new(),
            TaskState::Error,
        )
        .await;

    assert_eq!(step.attempts, 3);
    assert_eq!(error_of(&step), ("handler_failed".into(), "no luck".into()));
}

#[tokio::test]
async fn a_permanent_failure_uses_no_further_attempt() {
    async fn declined(_step: Step) -> Outcome {
        Outcome::fail("the card was declined")
    }
    let world = World::create().await;

    let step = world
        .run_one(
            "{ name: only, handler: declined }",
            json!({}),
            Handlers::new().register("declined", declined),
            TaskState::Error,
        )
        .await;

    assert_eq!((step.attempts, step.state), (1, StepState::Error));
    assert_eq!(error_of(&step).1, "the card was declined");
}

#[tokio::test]
async fn a_panic_is_a_failure_that_is_retried() {
    async fn panics_once(step: Step) -> Never {
        assert!(step.attempt() > 1, "attempt {} broke", step.attempt());
        Err(HandlerError::fail("the second attempt came").kind("came"))
    }
    let world = World::create().await;

    let step = world
        .run_one(
            "{ name: only, handler: panics }",
            json!({}),
            Handlers::new().register("panics", panics_once),
            TaskState::Error,
        )
        .await;

    assert_eq!(step.attempts, 2);
    assert_eq!(error_of(&step).0, "came");
}

#[tokio::test]
async fn an_attempt_beyond_its_timeout_is_retried_and_then_fails() {
    let world = World::create().await;

    let step = world
        .run_one(
            "{ name: only, handler: builtin.sleep, input: { ms: 3600000 }, timeout_ms: 20 }",
            json!({}),
            Handlers::new(),
            TaskState::Error,
        )
        .await;

    assert_eq!(step.attempts, 3);
    assert_eq!(error_of(&step).0, "timeout");
}

#[tokio::test]
async fn a_context_that_the_handler_cannot_read_fails_for_good_and_names_the_path() {
    let world = World::create().await;

    let step = world
        .run_one(
            "{ name: only, handler: reserve }",
            json!({ "order_id": "twelve" }),
            Handlers::new().register("reserve", reserve),
            TaskState::Error,
        )
        .await;

    assert_eq!(step.attempts, 1);
    let (kind, message) = error_of(&step);
    assert_eq!(kind, "invalid_input");
    assert!(message.contains("order_id"), "{message}");
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_fails_its_step_and_no_other() {
    async fn returns_nul(_step: Step) -> Result<&'static str, HandlerError> {
        Ok("a\0b")
    }
    async fn returns_much(_step: Step) -> Result<String, HandlerError> {
        Ok("x".repeat(2 << 20))
    }
    async fn fails_with_nul(_step: Step) -> Never {
        Err(HandlerError::fail("a\0b"))
    }
    let world = World::create().await;
    world
        .template(
            "mixed",
            "  - { name: nul, handler: nul }
  - { name: much, handler: much }
  - { name: message, handler: message }
  - { name: good, handler: builtin.echo, input: { ok: true } }",
        )
        .await;
    let task = world.submit("mixed", json!({})).await;
    let worker = world.start(
        Handlers::new()
            .register("nul", returns_nul)
            .register("much", returns_much)
            .register("message", fails_with_nul),
    );

    let detail = world.run_to(task, TaskState::Error).await;

    let kinds = detail.steps[..3].iter().map(|step| error_of(step).0);
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["invalid_result", "result_too_large", "handler_failed"]
    );
    assert!(
        error_of(&detail.steps[1])
            .1
            .contains("worker.max_result_bytes")
    );
    assert_eq!(error_of(&detail.steps[2]).1, "a\u{fffd}b");
    assert_eq!(detail.steps[3].result, Some(json!({ "ok": true })));
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_context_that_no_program_can_hold_fails_its_task_and_no_other() {
    let world = World::create().await;
    world
        .template("one", "  - { name: only, handler: builtin.noop }")
        .await;
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for value in ["1e400", &nested] {
        sqlx::query("select tasker.submit_task('shop', 'one', $1::jsonb)")
            .bind(format!(r#"{{ "amount": {value} }}"#))
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let good = world.submit("one", json!({})).await;

    let worker = world.start(Handlers::new());

    world.run_to(good, TaskState::Complete).await;
    wait_until("the others failed", WAIT_TIMEOUT, async || {
        let failed = "select count(*) from tasker.steps where error ->> 'kind' = 'invalid_input'";
        world.count(failed).await == 2
    })
    .await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_step_whose_handler_nobody_knows_waits_for_a_worker_that_does() {
    let world = World::create().await;
    world
        .template("one", "  - { name: only, handler: reserve }")
        .await;
    world
        .template("other", "  - { name: only, handler: builtin.noop }")
        .await;
    let stranger = world.start_named("stranger", Handlers::new());
    let task = world.submit("one", json!({ "order_id": 1 })).await;
    let other = world.submit("other", json!({})).await;
    world.run_to(other, TaskState::Complete).await;
    let waiting = world.task(task).await.steps.remove(0);
    assert_eq!((waiting.state, waiting.attempts), (StepState::Enqueued, 0));

    let knowing = world.start_named("knowing", Handlers::new().register("reserve", reserve));

    let detail = world.run_to(task, TaskState::Complete).await;
    assert_eq!(detail.steps[0].worker.as_deref(), Some("knowing"));
    assert_eq!(detail.steps[0].attempts, 1);
    stranger.drain().await;
    knowing.drain().await;
    world.assert_sound().await;
}
