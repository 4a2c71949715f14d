//! Receipts find what they are for, however much waits beside it.

use tasker_shared::readiness;
use tasker_shared::steps::{self, Continuation, Demand, Locks, ReceivedStep};
use tasker_shared::tasks;

use crate::Meter;
use crate::Planned::{EachTime, Once};
use crate::support::{LEASE, WORKER, complete, new_task};

/// Messages of a handler that no worker asks for.
const FOREIGN: i64 = 100_000;
/// Messages that other workers hold.
const HELD: i64 = 2_000;
/// Tasks that can be received.
const TASKS: usize = 10;
/// What a receipt of these reads where nothing is in its way.
const FEW: i64 = 200;

#[derive(Clone, Copy, Debug)]
enum Statistics {
    None,
    OfAnEmptyQueue,
    Fresh,
}

const ALL: [Statistics; 3] = [
    Statistics::None,
    Statistics::OfAnEmptyQueue,
    Statistics::Fresh,
];

impl Meter {
    /// Puts messages into the queue, and tasks behind them. Each second message is more urgent than
    /// these.
    async fn with_backlog(
        statistics: Statistics,
        count: i64,
        handler: &str,
        visible_in: &str,
    ) -> Self {
        let mut meter = Self::new().await;
        if let Statistics::OfAnEmptyQueue = statistics {
            meter.world.run("analyze").await;
        }
        meter
            .world
            .run(format!(
                "insert into pgmq.q_worker_test_queue (vt, message)
                 select clock_timestamp() + interval '{visible_in}',
                   tasker.step_message(gen_random_uuid(), 1, '{handler}', n % 2)
                 from generate_series(1, {count}) n;
                 insert into tasker.priorities_in_use values (0), (1)"
            ))
            .await;
        meter.enqueue().await;
        if let Statistics::Fresh = statistics {
            meter.world.run("analyze").await;
        }
        meter
    }

    /// Fails when a call read more than it may with these statistics.
    fn assert_frugal_with(&self, statistics: Statistics) {
        let excesses = &self.excesses;
        assert!(excesses.is_empty(), "{statistics:?}: {excesses:#?}");
    }

    async fn enqueue(&mut self) {
        let tasks = vec![new_task("pair"); TASKS];
        tasks::submit_tasks(&mut self.world.connection, &tasks)
            .await
            .unwrap();
        self.call("claim_ready_tasks", Once, FEW, async |connection| {
            readiness::claim_ready_tasks(connection, "o", 1000)
                .await
                .unwrap()
        })
        .await;
    }

    async fn receive(&mut self, handlers: &[String], bound: i64) -> Vec<ReceivedStep> {
        let namespaces = ["test".to_owned()];
        let demand = Demand {
            handlers: Some(handlers),
            ..Demand::of_any(&namespaces, i32::try_from(TASKS).unwrap(), LEASE)
        };
        let received = self
            .call("receive_steps", Once, bound, async |connection| {
                steps::receive_steps(connection, WORKER, &demand)
                    .await
                    .unwrap()
            })
            .await;
        assert_eq!(received.troubled, []);
        assert_eq!(received.steps.len(), TASKS);
        received.steps
    }

    async fn hand_on(&mut self, steps: &[ReceivedStep], handlers: &[String], bound: i64) {
        let reports: Vec<_> = steps.iter().map(complete).collect();
        let continuation = Continuation {
            may_continue: vec![true; reports.len()],
            handlers,
            lease: LEASE,
        };
        let reported = self
            .call("complete_and_continue", Once, bound, async |connection| {
                let locks = Locks::Wait;
                steps::complete_and_continue(connection, WORKER, &reports, &continuation, locks)
                    .await
                    .unwrap()
            })
            .await;
        assert_eq!(reported.continued.len(), steps.len());
        let reports: Vec<_> = reported.continued.iter().map(complete).collect();
        self.world.report(&reports).await;
    }
}

fn known() -> Vec<String> {
    vec!["builtin.noop".to_owned()]
}

/// Handlers of which one is in the queue.
fn hundreds() -> Vec<String> {
    let absent = (1..200).map(|number| format!("handler_{number}"));
    absent.chain(known()).collect()
}

#[tokio::test]
async fn a_hundred_thousand_messages_that_nobody_asks_for_are_not_read() {
    for statistics in ALL {
        let mut meter = Meter::with_backlog(statistics, FOREIGN, "nobody.has_it", "0 s").await;
        for handlers in [known(), hundreds()] {
            for _ in 0..8 {
                let received = meter.receive(&handlers, FEW).await;
                meter.hand_on(&received, &handlers, 2 * FEW).await;
                meter.enqueue().await;
            }
        }
        meter.assert_frugal_with(statistics);
    }
}

#[tokio::test]
async fn the_handlers_of_a_large_queue_are_found_by_leaps() {
    for statistics in ALL {
        let mut meter = Meter::with_backlog(statistics, FOREIGN, "nobody.has_it", "0 s").await;

        let handlers: Vec<String> = meter
            .call("queued_handlers", EachTime, 10, async |connection| {
                sqlx::query_scalar("select unnest(tasker.queued_handlers('worker_test_queue'))")
                    .fetch_all(connection)
                    .await
                    .unwrap()
            })
            .await;

        assert_eq!(handlers, ["builtin.noop", "nobody.has_it"]);
        meter.assert_frugal_with(statistics);
    }
}

#[tokio::test]
async fn the_most_urgent_message_is_found_behind_what_nobody_asks_for() {
    for statistics in ALL {
        let mut meter = Meter::with_backlog(statistics, FOREIGN, "nobody.has_it", "0 s").await;

        let priority: Option<i32> = meter
            .call("most_urgent_message", EachTime, 10, async |connection| {
                sqlx::query_scalar("select tasker.most_urgent_message('{test}', $1)")
                    .bind(hundreds())
                    .fetch_one(connection)
                    .await
                    .unwrap()
            })
            .await;

        assert_eq!(priority, Some(0));
        meter.assert_frugal_with(statistics);
    }
}

#[tokio::test]
async fn messages_that_others_hold_are_passed_over_once_for_each_sort_of_place() {
    for statistics in ALL {
        let mut meter = Meter::with_backlog(statistics, HELD, "builtin.noop", "30 s").await;
        for handlers in [known(), hundreds()] {
            for _ in 0..4 {
                // Once for the urgent, once for what has waited longest.
                let received = meter.receive(&handlers, 2 * HELD + FEW).await;
                meter.hand_on(&received, &handlers, HELD + 2 * FEW).await;
                meter.enqueue().await;
            }
        }
        meter.assert_frugal_with(statistics);
    }
}

#[tokio::test]
async fn timers_look_at_the_front_of_a_large_queue_only() {
    for statistics in ALL {
        let mut meter = Meter::with_backlog(statistics, FOREIGN, "nobody.has_it", "0 s").await;

        meter
            .call("fire_due_timers", EachTime, 20, async |connection| {
                readiness::fire_due_timers(connection, 10).await.unwrap()
            })
            .await;

        meter.assert_frugal_with(statistics);
    }
}
