use std::time::Duration;

use serde_json::{Value, json};
use tasker_worker::testing::{StepState, World};
use tasker_worker::{HandlerError, Handlers, Step};

const ORDER: &str = "
namespace: shop
name: order
version: 1.0.0
steps:
  - { name: validate, handler: builtin.noop }
  - { name: charge, handler: payments.charge, depends_on: [validate] }
";

async fn charge(step: Step) -> Result<Value, HandlerError> {
    match step.attempt() {
        1 => Err(HandlerError::retry("the bank is closed").after(Duration::from_hours(1))),
        _ => Ok(json!({ "paid": step.context["cents"] })),
    }
}

#[tokio::test]
async fn an_order_is_paid_when_the_bank_opens() {
    let world = World::start(Handlers::new().register("payments.charge", charge)).await;
    world.apply(ORDER).await;
    let task = world.submit("shop/order", json!({ "cents": 700 })).await;

    let order = world.run_until_waiting(task).await;
    assert_eq!(order.step("charge").state, StepState::WaitingForRetry);
    assert_eq!(order.error("charge"), "the bank is closed");

    world.advance(Duration::from_hours(1)).await;
    let order = world.run(task).await;
    order.assert_complete();
    assert_eq!(order.step("charge").attempts, 2);
    assert_eq!(order.result::<Value>("charge"), json!({ "paid": 700 }));
    world.end().await;
}
