//! Many at once, in batches that overlap at random: nothing deadlocks, nothing is done twice, and
//! everything ends.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::{Executor, PgConnection};
use support::{DIAMOND, LEASE, World, act, error, given_back, new_task, report};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Continuation, ReceivedStep, StepOutcome};
use tasker_shared::tasks;

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
    /// Whether processes are lost now and then, with what they hold, in the middle of transactions.
    crashes: bool,
    /// Whether what it completes may go on with dependents; each time chance decides.
    continues: bool,
}

impl Actor {
    async fn run(&mut self, sql: &'static str) {
        self.connection.execute(sql).await.unwrap();
    }

    /// Acts as an orchestrator or a worker, or is lost in the middle of it.
    async fn act(&mut self, orchestrator: bool) {
        if self.crashes && self.random.u8(..) < 60 {
            self.run("begin").await;
            match self.random.u8(..3) {
                _ if orchestrator => self.claim().await,
                0 => self.receive().await,
                1 => self.extend().await,
                _ => self.report().await,
            }
            self.run("rollback").await;
            self.held.clear();
        } else if orchestrator {
            self.claim().await;
            self.fire().await;
        } else {
            self.receive().await;
            self.extend().await;
            self.release().await;
            self.report().await;
        }
    }

    /// Lets some of the leases run out.
    async fn expire(&mut self) {
        self.run(
            "update pgmq.q_worker_test_queue set vt = clock_timestamp() where msg_id in (
              select msg_id from pgmq.q_worker_test_queue where random() < 0.2
              for update skip locked
            )",
        )
        .await;
    }

    async fn claim(&mut self) {
        let limit = self.random.i32(1..40);
        readiness::claim_ready_tasks(&mut self.connection, &self.name, limit)
            .await
            .unwrap();
    }

    async fn fire(&mut self) {
        let limit = self.random.i32(1..40);
        readiness::fire_due_timers(&mut self.connection, limit)
            .await
            .unwrap();
    }

    async fn receive(&mut self) {
        let namespaces = ["test".to_owned()];
        let limit = self.random.i32(1..40);
        let received = steps::receive_steps(
            &mut self.connection,
            &self.name,
            &steps::Demand::of_any(&namespaces, limit, LEASE),
        )
        .await
        .unwrap()
        .steps;
        self.held.extend(received);
    }

    async fn extend(&mut self) {
        self.random.shuffle(&mut self.held);
        let held = self.held.iter().map(|step| (step.id, step.receipt));
        let held = held.collect::<Vec<_>>();
        steps::extend_leases(&mut self.connection, &self.name, &held, LEASE)
            .await
            .unwrap();
    }

    /// Takes some of what it holds, in any order.
    fn take(&mut self, share: f64) -> Vec<ReceivedStep> {
        self.random.shuffle(&mut self.held);
        let (taken, kept) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|_| self.random.f64() < share);
        self.held = kept;
        taken
    }

    async fn release(&mut self) {
        let back = self.take(0.05);
        let back = back.iter().map(given_back).collect::<Vec<_>>();
        steps::release_steps(&mut self.connection, &self.name, &back)
            .await
            .unwrap();
    }

    async fn report(&mut self) {
        let reports = self
            .take(0.6)
            .iter()
            .map(|step| {
                let outcome = match self.random.u8(..) {
                    _ if step.expired.is_some() => again(),
                    0..20 => StepOutcome::Fail(error()),
                    20..50 => again(),
                    _ => StepOutcome::Complete(json!(1)),
                };
                report(step, outcome)
            })
            .collect::<Vec<_>>();
        let continuation = Continuation {
            may_continue: reports
                .iter()
                .map(|_| self.continues && self.random.bool())
                .collect(),
            handlers: &["builtin.noop".to_owned()],
            lease: LEASE,
        };
        let reported = steps::complete_and_continue(
            &mut self.connection,
            &self.name,
            &reports,
            &continuation,
            steps::Locks::Wait,
        )
        .await
        .unwrap();
        assert!(
            reported.stale.is_empty() || self.crashes,
            "no lease ran out"
        );
        self.held.extend(reported.continued);
    }

    async fn operate(&mut self, tasks: &[TaskUuid]) {
        let task = tasks[self.random.usize(..tasks.len())];
        let step = DIAMOND[self.random.usize(..DIAMOND.len())].0;
        let skip = Settlement::Skip(json!(null));
        let connection = &mut self.connection;
        answered(match self.random.u8(..5) {
            0 => act(connection, task, Action::CancelTask).await,
            1 => act(connection, task, Action::SettleStep(step, &skip)).await,
            2 => act(connection, task, Action::ResolveTask).await,
            _ => act(connection, task, Action::RetryStep(step)).await,
        });
    }
}

fn again() -> StepOutcome {
    StepOutcome::Retry {
        error: error(),
        after: Some(Duration::ZERO),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_batches_of_everybody_never_deadlock_and_end_every_task() {
    for continues in [true, false] {
        run_everybody(false, continues).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_although_processes_are_lost_at_any_moment() {
    for continues in [true, false] {
        run_everybody(true, continues).await;
    }
}

async fn run_everybody(crashes: bool, continues: bool) {
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
            crashes,
            continues,
        });
    }

    let loops = actors
        .into_iter()
        .enumerate()
        .map(async |(number, mut actor)| {
            while ended.load(Relaxed) < TASKS {
                match number {
                    0..4 => actor.act(number < 2).await,
                    // Operators stop early, so that what they revive comes to an end too.
                    4 if ended.load(Relaxed) < TASKS / 2 => actor.operate(&all).await,
                    _ => {
                        if crashes {
                            actor.expire().await;
                        }
                        let done = tasks::ended_tasks(&mut actor.connection, &all).await;
                        ended.fetch_max(done.unwrap().len(), Relaxed);
                    }
                }
            }
        });
    join_all(loops).await;

    world.assert_healthy().await;
    let twice: i64 = world
        .value(
            "select count(*) from (
              select from tasker.step_transitions where to_state = 'complete'
              group by task_uuid, step_no having count(*) > 1
            ) twice",
        )
        .await;
    assert_eq!(twice, 0);
    let deadlocks: i64 = world
        .value("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
}
