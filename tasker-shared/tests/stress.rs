//! Many at once, in batches that overlap at random: nothing deadlocks, nothing is done twice, and
//! everything ends.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use support::{DIAMOND, LEASE, World, error, new_task, report};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Continuation, ReceivedStep, ReleasedStep, StepOutcome};
use tasker_shared::tasks;

fn release(step: &ReceivedStep, refused: bool) -> ReleasedStep {
    ReleasedStep {
        id: step.id,
        attempt: step.attempt,
        msg_id: step.msg_id,
        namespace: step.namespace.clone(),
        refused,
    }
}

/// Passes refusals, which are answers; a deadlock is none.
fn answered(result: Result<(), Error>) {
    if let Err(error) = result {
        assert!(error.refusal().is_some(), "{error}");
    }
}

/// Claims until nothing is ready, in small batches.
async fn claim_all(mut connection: PgConnection, processor: String) -> i32 {
    let mut claimed = 0;
    loop {
        let tasks = readiness::claim_ready_tasks(&mut connection, &processor, 7)
            .await
            .unwrap();
        let left: bool = sqlx::query_scalar("select exists (select from tasker.ready_steps)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if tasks.is_empty() && !left {
            return claimed;
        }
        claimed += tasks.iter().map(|task| task.ready_steps).sum::<i32>();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_orchestrators_claim_each_of_many_steps_once() {
    let mut world = World::new().await;
    world.template("roots", &[("a", &[]), ("b", &[])]).await;
    tasks::submit_tasks(&mut world.connection, &vec![new_task("roots"); 300])
        .await
        .unwrap();

    let mut claims = Vec::new();
    for processor in 0..4 {
        let connection = world.db.connect().await;
        claims.push(tokio::spawn(claim_all(connection, processor.to_string())));
    }
    let mut claimed = 0;
    for claim in claims {
        claimed += claim.await.unwrap();
    }

    assert_eq!(claimed, 600);
    let moves: i64 = world
        .value("select count(*) from tasker.step_transitions")
        .await;
    assert_eq!(moves, 600);
    let messages: i64 = world
        .value("select count(*) from pgmq.q_worker_test_queue")
        .await;
    assert_eq!(messages, 600);
    world.assert_healthy().await;
}

/// What one of the many does at random until every task has ended.
struct Actor {
    name: String,
    connection: PgConnection,
    random: fastrand::Rng,
    held: Vec<ReceivedStep>,
}

impl Actor {
    async fn orchestrate(&mut self) {
        let limit = self.random.i32(1..40);
        readiness::claim_ready_tasks(&mut self.connection, &self.name, limit)
            .await
            .unwrap();
        readiness::fire_due_timers(&mut self.connection, limit)
            .await
            .unwrap();
    }

    async fn work(&mut self) {
        let namespaces = ["test".to_owned()];
        let limit = self.random.i32(1..40);
        let received =
            steps::receive_steps(&mut self.connection, &namespaces, &self.name, limit, LEASE)
                .await
                .unwrap();
        self.held.extend(received);
        let mut batch = std::mem::take(&mut self.held);
        self.random.shuffle(&mut batch);
        let running = batch
            .iter()
            .map(|step| (step.id, step.attempt))
            .collect::<Vec<_>>();
        steps::extend_leases(&mut self.connection, &self.name, &running, LEASE)
            .await
            .unwrap();
        self.held = batch.split_off(batch.len().div_ceil(2));
        let (back, done): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|_| self.random.u8(..) < 20);
        let back = back
            .iter()
            .map(|step| release(step, self.random.bool()))
            .collect::<Vec<_>>();
        steps::release_steps(&mut self.connection, &self.name, &back, Duration::ZERO, 3)
            .await
            .unwrap();
        let reports = done
            .iter()
            .map(|step| {
                let outcome = match self.random.u8(..) {
                    0..20 => StepOutcome::Fail(error()),
                    20..50 => StepOutcome::Retry {
                        error: error(),
                        after: Some(Duration::ZERO),
                    },
                    _ => StepOutcome::Complete(json!(1)),
                };
                report(step, outcome)
            })
            .collect::<Vec<_>>();
        let continuation = Continuation {
            may_continue: reports.iter().map(|_| self.random.bool()).collect(),
            handlers: &["builtin.noop".to_owned()],
            lease: LEASE,
        };
        let reported =
            steps::complete_and_continue(&mut self.connection, &self.name, &reports, &continuation)
                .await
                .unwrap();
        assert_eq!(reported.stale, Vec::<usize>::new(), "no lease ran out");
        self.held.extend(reported.continued);
    }

    async fn operate(&mut self, tasks: &[TaskUuid]) {
        let task = tasks[self.random.usize(..tasks.len())];
        let step = DIAMOND[self.random.usize(..DIAMOND.len())].0;
        let skip = Settlement::Skip(json!(null));
        let connection = &mut self.connection;
        answered(match self.random.u8(..5) {
            0 => operator::cancel_task(connection, task, "me", None).await,
            1 => operator::settle_step(connection, task, step, &skip, "me", None).await,
            2 => operator::resolve_task(connection, task, "me", None).await,
            _ => operator::retry_step(connection, task, step, "me", None).await,
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_batches_of_everybody_never_deadlock_and_end_every_task() {
    const TASKS: usize = 200;
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let submitted = tasks::submit_tasks(&mut world.connection, &vec![new_task("diamond"); TASKS])
        .await
        .unwrap();
    let all = submitted
        .iter()
        .map(|task| task.task_uuid)
        .collect::<Vec<_>>();
    let ended = AtomicUsize::new(0);
    let mut actors = Vec::new();
    for number in 0..6 {
        actors.push(Actor {
            name: format!("actor-{number}"),
            connection: world.db.connect().await,
            random: fastrand::Rng::with_seed(number),
            held: Vec::new(),
        });
    }

    let loops = actors
        .into_iter()
        .enumerate()
        .map(async |(number, mut actor)| {
            while ended.load(Relaxed) < TASKS {
                match number {
                    0 | 1 => actor.orchestrate().await,
                    2 | 3 => actor.work().await,
                    // Operators stop early, so that what they revive comes to an end too.
                    4 if ended.load(Relaxed) < TASKS / 2 => actor.operate(&all).await,
                    _ => {
                        let done = tasks::ended_tasks(&mut actor.connection, &all).await;
                        ended.fetch_max(done.unwrap().len(), Relaxed);
                    }
                }
            }
        });
    join_all(loops).await;

    world.assert_healthy().await;
    let deadlocks: i64 = world
        .value("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
}
