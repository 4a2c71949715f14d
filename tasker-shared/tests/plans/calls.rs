//! The calls of orchestrators, workers and operators, round by round.

use std::time::Duration;

use serde_json::json;
use tasker_shared::announcements::{self, Announcements};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::steps::{self, Continuation, ReceivedStep, ReportOptions, StepReport};
use tasker_shared::tasks;

use crate::Planned::{EachTime, Once};
use crate::support::{LEASE, WORKER, act, complete, fail, given_back, new_task, retry};
use crate::{Meter, WIDE, fill};

/// A connection that called a function more often than this uses its generic plan.
const ROUNDS: usize = 8;
/// Tasks that one round submits.
const BATCH: usize = 10;

impl Meter {
    /// Tasks from submission to every sort of outcome, with what a process does beside it.
    #[expect(clippy::too_many_lines, reason = "one story, told in its order")]
    async fn round(&mut self, round: usize) {
        let batch = i64::try_from(BATCH).unwrap();
        let mut new = vec![new_task("pair"); BATCH];
        for (number, task) in new.iter_mut().enumerate() {
            task.idempotency_key = Some(format!("{}", (round + 1) * BATCH + number - BATCH / 2));
        }
        let submitted = self
            .call("submit_tasks", Once, 12 * batch, async |connection| {
                tasks::submit_tasks(connection, &new).await.unwrap()
            })
            .await;
        let announcements = Announcements::of_submitted(&submitted);
        self.call("announce", Once, 5 * batch, async |connection| {
            announcements::notify(connection, &announcements)
                .await
                .unwrap();
        })
        .await;
        self.call("find_ready_tasks", Once, 3 * batch, async |connection| {
            readiness::find_ready_tasks(connection, Duration::ZERO, 10)
                .await
                .unwrap()
        })
        .await;
        self.call("claim_ready_tasks", Once, 12 * batch, async |connection| {
            readiness::claim_ready_tasks(connection, "o", 10)
                .await
                .unwrap()
        })
        .await;
        let namespaces = ["test".to_owned()];
        let received = self
            .call("receive_steps", Once, 20 * batch, async |connection| {
                steps::receive_steps(
                    connection,
                    WORKER,
                    &steps::Demand::of_any(&namespaces, 10, LEASE),
                )
                .await
                .unwrap()
                .steps
            })
            .await;
        assert!(received.len() > 4, "{}", received.len());
        let running = received
            .iter()
            .map(|step| (step.id, step.receipt))
            .collect::<Vec<_>>();
        let lost = self
            .call("extend_leases", Once, 10 * batch, async |connection| {
                steps::extend_leases(connection, WORKER, &running, LEASE)
                    .await
                    .unwrap()
            })
            .await;
        assert_eq!(lost, []);

        let (back, done) = received.split_at(2);
        let back = back.iter().map(given_back).collect::<Vec<_>>();
        let released = self
            .call("release_steps", Once, 40, async |connection| {
                steps::release_steps(connection, WORKER, &back)
                    .await
                    .unwrap()
            })
            .await;
        assert!(released.stale.is_empty());
        let mut reports = vec![fail(&done[0]), retry(&done[1])];
        let (some, rest) = done[2..].split_at(3);
        reports.extend(some.iter().map(complete));
        let reported = self
            .call("complete_steps", Once, 20 * batch, async |connection| {
                steps::complete_steps(connection, WORKER, &reports, steps::Locks::Wait)
                    .await
                    .unwrap()
            })
            .await;
        assert!(reported.stale.is_empty());
        let rest = rest.iter().map(complete).collect::<Vec<_>>();
        self.complete_and_continue(&rest).await;
        self.world
            .run("update tasker.timers set due_at = now()")
            .await;
        let fired = self
            // Queues are read from their beginning: what is visible, or held, comes soon.
            .call("fire_due_timers", EachTime, 20, async |connection| {
                readiness::fire_due_timers(connection, 10).await.unwrap()
            })
            .await;
        assert_eq!(fired.fired, 1);
        self.operate(&done[0], done[1].id.task_uuid).await;
    }

    /// Steps that are handed on, until nothing follows them.
    async fn complete_and_continue(&mut self, reports: &[StepReport]) {
        let continuation = Continuation {
            may_continue: vec![true; reports.len()],
            handlers: &["builtin.noop".to_owned()],
            lease: LEASE,
        };
        let reported = self
            .call("complete_and_continue", Once, 200, async |connection| {
                steps::complete_and_continue(
                    connection,
                    WORKER,
                    reports,
                    &continuation,
                    steps::Locks::Wait,
                )
                .await
                .unwrap()
            })
            .await;
        assert!(reported.stale.is_empty());
        let next = reported.continued.iter().map(complete).collect::<Vec<_>>();
        let last = self
            .call("complete_steps", Once, 200, async |connection| {
                steps::complete_steps(connection, WORKER, &next, steps::Locks::Wait)
                    .await
                    .unwrap()
            })
            .await;
        assert!(last.stale.is_empty());
        self.continued += next.len();
    }

    /// What a page that is open reads each second.
    async fn look(&mut self, task: TaskUuid) {
        self.call("outline_task", Once, 30, async |connection| {
            tasks::outline_task(connection, task).await.unwrap()
        })
        .await;
        self.call("outline_steps", Once, 30, async |connection| {
            tasks::outline_steps(connection, task).await.unwrap()
        })
        .await;
        self.call("steps_in_detail", Once, 30, async |connection| {
            let steps = tasks::steps_in_detail(connection, task, &[1, 2], 1000).await;
            assert_eq!(steps.unwrap().len(), 2);
        })
        .await;
        self.call("latest_moves", EachTime, 15_000, async |connection| {
            let moves = tasks::latest_moves(connection, task, None, 3, 10).await;
            assert_eq!(moves.unwrap().len(), 3);
        })
        .await;
    }

    /// What people do, now and then.
    async fn operate(&mut self, failed: &ReceivedStep, waiting: TaskUuid) {
        let step = failed.step_name.as_str();
        let failed = failed.id.task_uuid;
        self.call("get_task", EachTime, 300, async |connection| {
            tasks::get_task(connection, failed).await.unwrap().unwrap()
        })
        .await;
        // The logs are indexed by ranges of pages, and the latest range is read whole.
        self.call("task_history", EachTime, 15_000, async |connection| {
            tasks::task_history(connection, failed).await.unwrap()
        })
        .await;
        self.look(failed).await;
        self.call("ended_tasks", EachTime, 300, async |connection| {
            tasks::ended_tasks(connection, &[failed, waiting])
                .await
                .unwrap()
        })
        .await;
        self.call("retry_step", EachTime, 300, async |connection| {
            act(connection, failed, Action::RetryStep(step))
                .await
                .unwrap();
        })
        .await;
        self.call("settle_step", EachTime, 300, async |connection| {
            let skip = Settlement::Skip(json!(null));
            act(connection, failed, Action::SettleStep(step, &skip))
                .await
                .unwrap();
        })
        .await;
        self.call("cancel_task", EachTime, 300, async |connection| {
            act(connection, waiting, Action::CancelTask).await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn calls_on_tables_that_were_never_analyzed_read_what_they_need() {
    let mut meter = Meter::new().await;

    for round in 0..ROUNDS {
        meter.round(round).await;
    }

    assert!(meter.continued > ROUNDS);
    meter.assert_frugal();
}

#[tokio::test]
async fn calls_on_large_tables_read_what_they_need() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    meter.world.run("analyze").await;

    for round in 0..ROUNDS {
        meter.round(round).await;
    }

    assert!(meter.continued > ROUNDS);
    meter.assert_frugal();
}

#[tokio::test]
async fn a_connection_that_knew_the_tables_empty_reads_what_it_needs_when_they_are_large() {
    let mut meter = Meter::new().await;
    for round in 0..ROUNDS {
        meter.round(round).await;
    }
    fill(&mut meter.world).await;

    for round in 0..2 {
        meter.round(100 + round).await;
    }

    meter.assert_frugal();
}

#[tokio::test]
async fn a_look_at_what_is_ready_ends_although_all_of_it_is_young() {
    let mut meter = Meter::new().await;
    tasks::submit_tasks(&mut meter.world.connection, &vec![new_task("pair"); 3000])
        .await
        .unwrap();

    let found = meter
        .call("find_ready_tasks", Once, 10, async |connection| {
            readiness::find_ready_tasks(connection, Duration::from_hours(1), 10)
                .await
                .unwrap()
        })
        .await;

    assert!(found.is_empty());
    meter.assert_frugal();
}

#[tokio::test]
async fn queues_are_refilled_without_a_look_at_what_ended() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    meter.world.run("analyze").await;
    for round in 0..ROUNDS {
        meter
            .world
            .run("select tasker.use_unlogged_queues(true)")
            .await;
        for _ in 0..BATCH {
            meter.world.submit("pair").await;
        }
        meter.world.claim().await;
        meter
            .world
            .run("truncate pgmq.q_worker_test_queue, tasker.queues_intact")
            .await;
        let in_flight = i64::try_from((round + 1) * BATCH).unwrap();

        meter
            .call("refill", Once, 12 * in_flight, async |connection| {
                readiness::claim_ready_tasks(connection, "o", 10)
                    .await
                    .unwrap();
            })
            .await;
        let messages: i64 = meter
            .world
            .value("select count(*) from pgmq.q_worker_test_queue")
            .await;
        assert_eq!(messages, in_flight);
    }

    meter.assert_frugal();
}

#[tokio::test]
async fn steps_of_a_task_that_has_thousands_are_found_by_their_keys() {
    for analyzed in [false, true] {
        let mut meter = Meter::new().await;
        if analyzed {
            for _ in 0..20 {
                meter.world.submit("pair").await;
            }
            meter.world.run_all().await;
            meter.world.run("analyze").await;
        }
        let wide = i64::try_from(WIDE).unwrap();
        meter.world.submit("wide").await;
        let first = meter.world.start_one().await;
        let continuation = Continuation {
            may_continue: vec![true],
            handlers: &["builtin.noop".to_owned()],
            lease: LEASE,
        };
        let options = ReportOptions {
            enqueues: true,
            continuation: Some(&continuation),
            room: BATCH,
            ..ReportOptions::PLAIN
        };
        let reported = meter
            .call("complete the first", Once, 20 * wide, async |connection| {
                steps::record_outcomes(connection, WORKER, &[complete(&first)], options)
                    .await
                    .unwrap()
            })
            .await;
        assert_eq!(reported.continued.len(), 1 + BATCH);

        for _ in 0..2 {
            let batch = i64::try_from(BATCH).unwrap();
            let namespaces = ["test".to_owned()];
            let received = meter
                .call("receive_steps", Once, 20 * batch, async |connection| {
                    steps::receive_steps(
                        connection,
                        WORKER,
                        &steps::Demand::of_any(&namespaces, 10, LEASE),
                    )
                    .await
                    .unwrap()
                    .steps
                })
                .await;
            assert_eq!(received.len(), BATCH);
            let asking = received[0].id;
            let result = meter
                .call("dependency_result", Once, 8, async |connection| {
                    steps::dependency_result(connection, asking, "first")
                        .await
                        .unwrap()
                })
                .await;
            assert!(!result.is_empty());
            let (ended, released) = received.split_at(BATCH - 1);
            let reports: Vec<_> = ended.iter().map(complete).collect();
            let reported = meter
                .call("complete_steps", Once, 20 * batch, async |connection| {
                    steps::complete_steps(connection, WORKER, &reports, steps::Locks::Wait)
                        .await
                        .unwrap()
                })
                .await;
            assert_eq!(reported.stale, Vec::<usize>::new());
            let released = [given_back(&released[0])];
            meter
                .call("release_steps", Once, 40, async |connection| {
                    steps::release_steps(connection, WORKER, &released)
                        .await
                        .unwrap()
                })
                .await;
        }

        meter.assert_frugal();
    }
}
