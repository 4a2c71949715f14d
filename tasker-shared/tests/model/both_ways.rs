//! The same history with continuation and without it: what becomes of every attempt is given, the
//! order in which things happen is not, and all comes to the same, the log of each step included.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tasker_shared::error::Error;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Continuation, ReceivedStep, StepError, StepOutcome};
use tasker_shared::tasks::{self, Enqueuing};

use crate::expected::{Graph, index, step_name};
use crate::graphs;
use crate::play::release_one;
use crate::rows;
use crate::support::{LEASE, World, act, error, given_back, new_task, report};

/// The worker, of which there is one.
const WORKER: &str = "worker-0";
/// Rounds in which every task must come to its end.
const MOST_ROUNDS: usize = 1000;

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Complete,
    /// It fails and is tried again, after so many milliseconds where they are given.
    Retry(Option<u64>),
    Fail,
    /// Its worker is lost, and the lease runs out.
    Lost,
    /// The worker gives it back the first time, and completes it then.
    Returned,
}

/// What an operator does about everything that failed, once nothing moves any more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hand {
    Retry,
    Skip,
    Resolve,
    Cancel,
}

/// What happens, in whatever order.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) graph: Graph,
    /// The priorities of the tasks.
    pub(crate) tasks: Vec<i32>,
    /// One of them for each attempt.
    pub(crate) fates: Vec<Fate>,
    pub(crate) hands: Vec<Hand>,
}

/// How steps come into the hands of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// All of them through the queue.
    Queue,
    /// Past the queue as well, where the database hands them on.
    Continuation,
}

/// How a history happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) way: Way,
    /// Decides about the order.
    pub(crate) seed: u64,
    /// Whether steps are enqueued with the submission or the outcome that makes them ready.
    pub(crate) enqueues: bool,
    /// Whether an outcome that is reported alone is announced with its commit.
    pub(crate) announces: bool,
    /// How many more dependents may start with each report, at most; how many is left to chance.
    pub(crate) most_room: usize,
}

impl Manner {
    pub(crate) const fn of(way: Way, seed: u64) -> Self {
        Self {
            way,
            seed,
            enqueues: false,
            announces: false,
            most_room: 0,
        }
    }
}

/// What a history came to.
pub(crate) struct End {
    /// All rows of the engine, after each round.
    pub(crate) rows: Vec<String>,
    /// A line for each task and each step, at each moment when nothing moved.
    pub(crate) lines: Vec<String>,
    /// How many steps were handed on.
    pub(crate) handed_on: usize,
}

struct Run<'a> {
    world: &'a mut World,
    history: &'a History,
    manner: Manner,
    random: fastrand::Rng,
    tasks: Vec<TaskUuid>,
    rows: Vec<String>,
    held: Vec<ReceivedStep>,
    returned: HashMap<StepId, i32>,
    handed_on: usize,
}

/// Lets the history happen to tasks of this template, in an order of its own.
pub(crate) async fn happen(
    world: &mut World,
    template: &str,
    history: &History,
    manner: Manner,
) -> End {
    let mut submitted = Vec::new();
    for priority in &history.tasks {
        let mut task = new_task(template);
        task.priority = *priority;
        let (connection, task) = (&mut world.connection, [task]);
        let answer = if manner.enqueues {
            let enqueuing = Enqueuing {
                processor: "o".to_owned(),
                namespaces: Vec::new(),
            };
            let submission = tasks::submit_and_enqueue(connection, &task, &enqueuing, LEASE);
            submission.await.unwrap().unwrap().submitted
        } else {
            tasks::submit_tasks(connection, &task).await.unwrap()
        };
        submitted.push(answer[0].task_uuid);
    }
    let mut run = Run {
        world,
        history,
        manner,
        random: fastrand::Rng::with_seed(manner.seed),
        tasks: submitted,
        rows: Vec::new(),
        held: Vec::new(),
        returned: HashMap::new(),
        handed_on: 0,
    };
    run.until_nothing_moves().await;
    let mut lines = run.lines().await;
    for hand in &history.hands {
        run.act(*hand).await;
        run.until_nothing_moves().await;
        lines.extend(run.lines().await);
    }
    End {
        rows: run.rows,
        lines,
        handed_on: run.handed_on,
    }
}

impl Run<'_> {
    async fn until_nothing_moves(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let moves: bool = self
                .world
                .value(
                    "select exists (
                       select from tasker.tasks where state in ('pending', 'in_progress')
                     )",
                )
                .await;
            if !moves {
                self.world.assert_healthy().await;
                return;
            }
            self.round().await;
        }
        panic!("after {MOST_ROUNDS} rounds something still moves");
    }

    async fn round(&mut self) {
        let rows = rows::all(self.world, &self.tasks).await;
        self.rows.extend(rows);
        let (claims, places) = (self.random.i32(1..8), self.random.i32(1..8));
        let connection = &mut self.world.connection;
        readiness::claim_ready_tasks(connection, "o", claims)
            .await
            .unwrap();
        let namespaces = ["test".to_owned()];
        let received = steps::receive_steps(
            connection,
            WORKER,
            &steps::Demand::of_any(&namespaces, places, LEASE),
        )
        .await
        .unwrap()
        .steps;
        self.held.extend(received);
        if self.held.is_empty() {
            self.world.expire_leases().await;
            self.world.advance(Duration::from_secs(10)).await;
            readiness::fire_due_timers(&mut self.world.connection, 1000)
                .await
                .unwrap();
        }
        self.end_some().await;
    }

    /// Ends some of the attempts that run.
    async fn end_some(&mut self) {
        self.random.shuffle(&mut self.held);
        let some = self.random.usize(..=self.held.len());
        let mut reports = Vec::new();
        for step in self.held.split_off(self.held.len() - some) {
            let returns = self.returned.entry(step.id).or_default();
            match self.history.fate(&self.tasks, &step) {
                _ if step.expired.is_some() => reports.push(report(&step, lost())),
                Fate::Lost => {}
                Fate::Returned if *returns == 0 => {
                    *returns += 1;
                    release_one(self.world, WORKER, given_back(&step)).await;
                }
                Fate::Complete | Fate::Returned => {
                    reports.push(report(&step, StepOutcome::Complete(result_of(&step))));
                }
                Fate::Retry(after) => reports.push(report(
                    &step,
                    StepOutcome::Retry {
                        error: error(),
                        after: after.map(Duration::from_millis),
                    },
                )),
                Fate::Fail => reports.push(report(&step, StepOutcome::Fail(error()))),
            }
        }
        let room = self.random.usize(..=self.manner.most_room);
        let connection = &mut self.world.connection;
        let continuation = Continuation {
            may_continue: reports.iter().map(|_| self.random.u8(..) < 200).collect(),
            handlers: &["h".to_owned()],
            lease: LEASE,
        };
        let options = steps::ReportOptions {
            announces: self.manner.announces && reports.len() == 1,
            enqueues: self.manner.enqueues,
            continuation: (self.manner.way == Way::Continuation).then_some(&continuation),
            room,
            ..steps::ReportOptions::PLAIN
        };
        let reported = steps::record_outcomes(connection, WORKER, &reports, options).await;
        let reported = reported.unwrap();
        assert_eq!(reported.stale, Vec::<usize>::new());
        self.handed_on += reported.continued.len();
        self.held.extend(reported.continued);
    }

    async fn act(&mut self, hand: Hand) {
        let failed: Vec<(TaskUuid, i32)> = sqlx::query_as(
            "select task_uuid, step_no from tasker.steps where state = 'error'
             order by array_position($1, task_uuid), step_no",
        )
        .bind(self.tasks.iter().map(|task| task.0).collect::<Vec<_>>())
        .fetch_all(&mut self.world.connection)
        .await
        .unwrap();
        for (task_uuid, step_no) in failed {
            let name = step_name(index(StepId { task_uuid, step_no }));
            let by_hand = json!({ "n": 7 });
            let settlement = match hand {
                Hand::Skip => Settlement::Skip(by_hand),
                _ => Settlement::Resolve(by_hand),
            };
            let connection = &mut self.world.connection;
            let done = match hand {
                Hand::Retry => act(connection, task_uuid, Action::RetryStep(&name)).await,
                Hand::Cancel => act(connection, task_uuid, Action::CancelTask).await,
                Hand::Skip | Hand::Resolve => {
                    act(
                        connection,
                        task_uuid,
                        Action::SettleStep(&name, &settlement),
                    )
                    .await
                }
            };
            let refusal = done.as_ref().err().map(Error::refusal);
            assert!(refusal.is_none_or(|refusal| refusal.is_some()), "{done:?}");
        }
    }

    /// Where everything stands and how it came there. A step that was handed on was never in the
    /// queue; apart from that its log is that of any other.
    async fn lines(&mut self) -> Vec<String> {
        let tasks = self.tasks.iter().map(|task| task.0).collect::<Vec<_>>();
        sqlx::query_scalar(
            "with step_log as (
               select l.task_uuid, l.step_no, string_agg(
                 format('%s at %s%s', m.move, m.attempt, ' for ' || (l.error ->> 'kind')), ', '
                 order by l.transition_no, m.part
               ) as moves
               from tasker.step_transitions l
               cross join lateral (
                 select 1 as part, from_state || ' to ' || to_state as move, attempt
                 where (from_state, to_state) <> ('pending', 'in_progress')
                 union all select 1, 'pending to enqueued', attempt - 1
                 where (from_state, to_state) = ('pending', 'in_progress')
                 union all select 2, 'enqueued to in_progress', attempt
                 where (from_state, to_state) = ('pending', 'in_progress')
               ) m
               group by l.task_uuid, l.step_no
             )
             select line from (
               select array_position($1, t.task_uuid) as task_no, 0 as step_no,
                 format('task %s is %s: %s', array_position($1, t.task_uuid), t.state, (
                   select string_agg(l.from_state || ' to ' || l.to_state, ', '
                     order by l.transition_no)
                   from tasker.task_transitions l where l.task_uuid = t.task_uuid
                 )) as line
               from tasker.tasks t
               union all
               select array_position($1, s.task_uuid), s.step_no,
                 format('step %s is %s after %s of %s, received %s times, with %s%s: %s', s.step_no,
                   s.state, s.attempt, s.max_attempts, s.receipt, s.result, s.error, l.moves)
               from tasker.steps s left join step_log l using (task_uuid, step_no)
             ) lines
             order by task_no, step_no",
        )
        .bind(tasks)
        .fetch_all(&mut self.world.connection)
        .await
        .unwrap()
    }
}

impl History {
    fn fate(&self, tasks: &[TaskUuid], step: &ReceivedStep) -> Fate {
        let task = tasks.iter().position(|task| *task == step.id.task_uuid);
        let attempt = usize::try_from(step.attempt).unwrap();
        let number = task.unwrap() * 31 + index(step.id) * 7 + attempt;
        self.fates[number % self.fates.len()]
    }
}

fn lost() -> StepOutcome {
    StepOutcome::Retry {
        error: StepError {
            kind: "lease_expired".to_owned(),
            ..error()
        },
        after: None,
    }
}

/// A number that every result above it in the graph has a part in.
fn result_of(step: &ReceivedStep) -> Value {
    let parents = step.dependency_results.values();
    let sum: u64 = parents.map(|parent| parent["n"].as_u64().unwrap()).sum();
    json!({ "n": (1 + sum * 3 + u64::try_from(step.attempt).unwrap()) % 1_000_003 })
}

pub(crate) fn histories() -> impl Strategy<Value = History> {
    let fates = prop_oneof![
        10 => Just(Fate::Complete),
        2 => prop::option::of(0..5000_u64).prop_map(Fate::Retry),
        1 => Just(Fate::Fail),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Returned),
    ];
    let hands = prop_oneof![
        3 => Just(Hand::Retry),
        1 => Just(Hand::Skip),
        1 => Just(Hand::Resolve),
        1 => Just(Hand::Cancel),
    ];
    (
        graphs(),
        prop::collection::vec(-1..=1, 1..4),
        prop::collection::vec(fates, 20..40),
        prop::collection::vec(hands, 0..3),
    )
        .prop_map(|(graph, tasks, fates, hands)| History {
            graph,
            tasks,
            fates,
            hands,
        })
}
