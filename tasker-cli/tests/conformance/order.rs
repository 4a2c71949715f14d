//! The example that each language has of its own: handlers that fulfil an order.

use std::fs;

use serde_json::json;
use tasker_shared::ids::TaskUuid;

use crate::language::{Language, root};
use crate::workflows::task;
use crate::world::World;

const TEMPLATE: &str = "examples/order_fulfillment/order_with_own_handlers.yaml";

/// Runs a good order and a bad one with the handlers that `required` names.
pub(crate) async fn is_fulfilled(language: Language, required: &str) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    world
        .apply(&fs::read_to_string(root().join(TEMPLATE)).unwrap())
        .await;
    let variables = [("NAMESPACE", "fulfillment"), ("REQUIRED", required)];
    let worker = language.worker(&world, "worker", &variables).await;
    let order_task = |context| {
        format!("select tasker.submit_task('fulfillment', 'order_with_own_handlers', '{context}')")
    };
    let order = json!({ "order_id": 7, "items": [{ "sku": "pen", "quantity": 2 }] });
    let good = TaskUuid(world.value(&order_task(order)).await);
    let order = json!({ "order_id": 8, "items": [{ "sku": "unicorn" }] });
    let bad = TaskUuid(world.value(&order_task(order)).await);
    world.wait_for_the_end().await;

    let good = task(&world, good).await;
    assert_eq!(good["state"], "complete");
    let charge = &good["steps"]["charge"];
    assert_eq!(
        (&charge["attempts"], &charge["result"]["charged"]),
        (&json!(2), &json!(7.0))
    );
    assert_eq!(charge["result"]["reference"], charge["step_uuid"]);
    let bad = task(&world, bad).await;
    assert_eq!(bad["steps"]["validate"]["error"]["kind"], "unknown_sku");
    world.end([orchestrator, worker]).await;
}
