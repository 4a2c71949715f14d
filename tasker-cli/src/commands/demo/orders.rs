//! The orders of the demonstration: which there are, and how each has to end.

use serde_json::json;
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{NewTask, OnConflict, TaskDetail, submit_tasks};
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;

use crate::commands::task::fetch;
use crate::failure::Failure;

/// The templates, as they are in the folder of examples.
const TEMPLATES: [(&str, &str); 3] = [
    (
        "template.yaml",
        include_str!("../../../../examples/order_fulfillment/template.yaml"),
    ),
    (
        "order_with_flaky_payment.yaml",
        include_str!("../../../../examples/order_fulfillment/order_with_flaky_payment.yaml"),
    ),
    (
        "order_with_lost_parcel.yaml",
        include_str!("../../../../examples/order_fulfillment/order_with_lost_parcel.yaml"),
    ),
];

/// Namespace of the templates.
const NAMESPACE: &str = "fulfillment";
/// An order that goes well.
const PLAIN: &str = "order_fulfillment";
/// An order whose payment fails twice.
pub(crate) const FLAKY: &str = "order_with_flaky_payment";
/// An order whose parcel is lost.
pub(crate) const LOST: &str = "order_with_lost_parcel";
/// The step of the flaky order that is retried.
const RETRIED: &str = "charge";
/// Attempts that step needs.
const ATTEMPTS: i32 = 3;

/// The orders, by template.
const ORDERS: [&str; 12] = [
    PLAIN, PLAIN, FLAKY, PLAIN, PLAIN, PLAIN, PLAIN, LOST, PLAIN, PLAIN, PLAIN, PLAIN,
];

/// One order and how its task stands.
#[derive(Debug)]
pub(crate) struct Order {
    /// From 1.
    pub(crate) number: usize,
    /// Its task.
    pub(crate) task: TaskDetail,
}

impl Order {
    /// Whether its task has ended.
    pub(crate) const fn has_ended(&self) -> bool {
        self.task.summary.state.is_terminal()
    }

    /// What it is called.
    pub(crate) fn title(&self) -> String {
        format!("order {}", self.number)
    }
}

/// Applies the templates and submits the orders at once.
pub(crate) async fn submit(database: &Database) -> Result<Vec<TaskUuid>, Failure> {
    for (file, text) in TEMPLATES {
        let template = Template::parse_yaml(text)
            .map_err(|errors| Failure::new(format!("{file} is no usable template: {errors}")))?;
        database
            .call("apply_template", async |connection| {
                apply_template(connection, &template).await
            })
            .await?;
    }
    let tasks: Vec<NewTask> = ORDERS
        .iter()
        .zip(1..)
        .map(|(&name, number)| NewTask {
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
            version: None,
            context: json!({ "order_id": number }),
            priority: 0,
            idempotency_key: Some(format!("order-{number}")),
            on_conflict: OnConflict::Existing,
        })
        .collect();
    let submitted = database
        .call("submit_tasks", async |connection| {
            submit_tasks(connection, &tasks).await
        })
        .await?;
    Ok(submitted.iter().map(|answer| answer.task_uuid).collect())
}

/// How the orders stand now.
pub(crate) async fn load(database: &Database, tasks: &[TaskUuid]) -> Result<Vec<Order>, Failure> {
    let mut orders = Vec::with_capacity(tasks.len());
    for (task, number) in tasks.iter().zip(1..) {
        let task = fetch(database, *task).await?;
        orders.push(Order { number, task });
    }
    Ok(orders)
}

/// Fails unless every order ended as it had to.
pub(crate) fn judge(orders: &[Order]) -> Result<(), Failure> {
    for order in orders {
        let summary = &order.task.summary;
        let wanted = match summary.name.as_str() {
            LOST => TaskState::Error,
            _ => TaskState::Complete,
        };
        let retried = order.task.steps.iter().find(|step| step.name == RETRIED);
        let attempts = retried.map_or(0, |step| step.attempts);
        if summary.state != wanted {
            let (title, state) = (order.title(), summary.state);
            return Err(Failure::new(format!("{title} is {state}, not {wanted}")));
        }
        if summary.name == FLAKY && attempts != ATTEMPTS {
            return Err(Failure::new(format!(
                "the payment of {} took {attempts} attempts, not {ATTEMPTS}",
                order.title()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_a_template() {
        let mut names = Vec::new();
        for (file, text) in TEMPLATES {
            let template = Template::parse_yaml(text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(template.namespace, NAMESPACE, "{file}");
            names.push(template.name);
        }
        for order in ORDERS {
            assert!(names.iter().any(|name| name == order), "{order}");
        }
    }
}
