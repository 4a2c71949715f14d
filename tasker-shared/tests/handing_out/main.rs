//! Which steps a receipt hands out, in which order and how much of them, and what becomes of it where
//! a step, a message or a queue is not as it should be.

#![allow(clippy::unwrap_used)]

mod bytes;
mod damaged_queues;
mod durable;
mod fairness;
mod fence;
mod guards;
mod handlers;
mod numbers;
mod strange_messages;
#[path = "../support/mod.rs"]
mod support;
mod urgency;

use serde_json::{Value, json};
use sqlx::PgConnection;
use support::{LEASE, World, given_back, new_task};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::queues;
use tasker_shared::readiness;
use tasker_shared::steps::{
    self, Continuation, Demand, Locks, Received, ReceivedStep, Reported, StepReport,
};
use tasker_shared::tasks;

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

/// A namespace beside the one of the support's templates.
const OTHER: &str = "other";

impl World {
    /// Applies a template `name` of a step `only`, which `handler` runs.
    async fn template_of(&mut self, namespace: &str, name: &str, handler: &str) {
        self.apply(json!({
            "namespace": namespace, "name": name, "version": "1.0.0",
            "steps": [{ "name": "only", "handler": handler }],
        }))
        .await;
    }

    /// A world with one template for each handler, of its name.
    async fn with_handlers(handlers: &[&str]) -> Self {
        let mut world = Self::new().await;
        for handler in handlers {
            world.template_of("test", handler, handler).await;
        }
        world
    }

    /// Submits tasks and puts their steps into the queue, behind all that is in it.
    async fn enqueue(&mut self, name: &str, priority: i32, count: usize) -> Vec<TaskUuid> {
        let mut task = new_task(name);
        task.priority = priority;
        let submitted = tasks::submit_tasks(&mut self.connection, &vec![task; count])
            .await
            .unwrap();
        self.claim().await;
        submitted.iter().map(|task| task.task_uuid).collect()
    }

    async fn submit_to(&mut self, namespace: &str, name: &str, count: usize) -> Vec<TaskUuid> {
        let mut task = new_task(name);
        namespace.clone_into(&mut task.namespace);
        let submitted = tasks::submit_tasks(&mut self.connection, &vec![task; count])
            .await
            .unwrap();
        submitted.iter().map(|task| task.task_uuid).collect()
    }

    async fn receive_for(
        &mut self,
        worker: &str,
        handlers: &[&str],
        limit: i32,
    ) -> Vec<ReceivedStep> {
        let handlers: Vec<_> = handlers.iter().map(|name| (*name).to_owned()).collect();
        let namespaces = ["test".to_owned()];
        let demand = Demand {
            handlers: Some(&handlers),
            ..Demand::of_any(&namespaces, limit, LEASE)
        };
        let received = receive(&mut self.connection, worker, &demand).await;
        assert_eq!(received.troubled, []);
        received.steps
    }

    /// Reports as a worker does: again without waiting, where the first call met a lock.
    async fn report_as(&mut self, worker: &str, reports: &[StepReport]) -> Reported {
        let connection = &mut self.connection;
        match steps::complete_steps(connection, worker, reports, Locks::Wait).await {
            Err(Error::Locked { .. }) => {
                steps::complete_steps(connection, worker, reports, Locks::Skip).await
            }
            reported => reported,
        }
        .unwrap()
    }

    async fn continue_as(
        &mut self,
        worker: &str,
        reports: &[StepReport],
        handlers: &[&str],
    ) -> Reported {
        let handlers: Vec<_> = handlers.iter().map(|name| (*name).to_owned()).collect();
        let continuation = Continuation {
            may_continue: vec![true; reports.len()],
            handlers: &handlers,
            lease: LEASE,
        };
        let connection = &mut self.connection;
        let call = steps::complete_and_continue;
        match call(connection, worker, reports, &continuation, Locks::Wait).await {
            Err(Error::Locked { .. }) => {
                call(connection, worker, reports, &continuation, Locks::Skip).await
            }
            reported => reported,
        }
        .unwrap()
    }

    async fn release_as(&mut self, worker: &str, steps: &[&ReceivedStep]) -> Reported {
        let released: Vec<_> = steps.iter().copied().map(given_back).collect();
        steps::release_steps(&mut self.connection, worker, &released)
            .await
            .unwrap()
    }

    /// Tends all queues, and answers how many messages were archived.
    async fn tend_queues(&mut self) -> u32 {
        let connection = &mut self.connection;
        let mut archived = 0;
        for namespace in queues::list_namespaces(connection).await.unwrap() {
            archived += readiness::tend_queue(connection, &namespace).await.unwrap();
        }
        archived
    }

    /// Makes retries due and enqueues them.
    async fn fire_timers(&mut self) {
        self.execute("update tasker.timers set due_at = tasker.now() - interval '1 s'")
            .await;
        tasker_shared::readiness::fire_due_timers(&mut self.connection, 1000)
            .await
            .unwrap();
    }

    /// Decides whether the next receipt of this connection, of less than ten steps, gives a place to
    /// the one that has waited longest.
    async fn draw(&mut self, one_more: bool) {
        for number in 0..1000 {
            let seed = format!("select setseed({number} / 1000.0)");
            self.run(seed.clone()).await;
            let drawn: f64 = self.value("select random()").await;
            let is_wanted = if one_more { drawn >= 0.9 } else { drawn < 0.1 };
            if is_wanted {
                return self.run(seed).await;
            }
        }
        panic!("no seed draws that");
    }
}

async fn receive(connection: &mut PgConnection, worker: &str, demand: &Demand<'_>) -> Received {
    steps::receive_steps(connection, worker, demand)
        .await
        .unwrap()
}

fn tasks_of(steps: &[ReceivedStep]) -> Vec<TaskUuid> {
    steps.iter().map(|step| step.id.task_uuid).collect()
}

fn result(step: &ReceivedStep, value: Value) -> StepReport {
    support::report(step, steps::StepOutcome::Complete(value))
}
