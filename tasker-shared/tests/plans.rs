//! What the hot calls read. Plans of an engine must not depend on statistics: tables that were just
//! empty are large a minute later, and generic plans stay for the life of a connection. So every
//! call is repeated on one connection and its reads are counted, on tables never analyzed and on
//! large ones whose statistics say that the queues are empty.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use sqlx::PgConnection;
use support::{LEASE, WORKER, World, complete, fail, new_task, retry};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{self, Settlement};
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, Continuation, ReceivedStep, ReleasedStep, StepReport};
use tasker_shared::tasks::{self, TaskFilter};

/// A connection that called a function more often than this uses its generic plan.
const ROUNDS: usize = 8;
/// Tasks that one round submits.
const BATCH: usize = 10;
/// Tasks that ended long ago.
const FINISHED: i64 = 50_000;

use Planned::{EachTime, Once};

const PAIR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

/// Counts what calls read, and notes those that read too much.
struct Meter {
    world: World,
    excesses: Vec<String>,
    continued: usize,
}

/// What the connection read of one table since it last handed its counters over.
#[derive(Debug, sqlx::FromRow)]
struct Reads {
    table: String,
    scans: i64,
    rows: i64,
}

/// Namespaces are few, and calls that serve them all look at one after the other.
const READS: &str = "
    select relname::text as table, seq_scan as scans,
      seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
    from pg_stat_xact_all_tables
    where schemaname in ('tasker', 'pgmq') and relname <> 'namespaces'
    order by relid";

/// Whether a call may read tables sequentially, which costs nothing while they are small.
#[derive(Clone, Copy, PartialEq)]
enum Planned {
    /// Its plans are made once for the life of a connection.
    Once,
    /// Its plans are made anew each time, and know how large the tables are.
    EachTime,
}

impl Meter {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.template("pair", PAIR).await;
        Self {
            world,
            excesses: Vec::new(),
            continued: 0,
        }
    }

    async fn reads(&mut self) -> Vec<Reads> {
        sqlx::query_as(READS)
            .fetch_all(&mut self.world.connection)
            .await
            .unwrap()
    }

    /// Runs a call, which may read up to `bound` rows.
    async fn call<T>(
        &mut self,
        name: &str,
        planned: Planned,
        bound: i64,
        call: impl AsyncFnOnce(&mut PgConnection) -> T,
    ) -> T {
        self.world.run("begin").await;
        let before = self.reads().await;
        let answer = call(&mut self.world.connection).await;
        let after = self.reads().await;
        self.world.run("commit").await;

        let mut rows = 0;
        let mut sequential = Vec::new();
        let mut tables = Vec::new();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.table, after.table);
            let read = after.rows - before.rows;
            rows += read;
            if read > 0 {
                tables.push(format!("{read} of {}", after.table));
            }
            if after.scans > before.scans && planned == Planned::Once {
                sequential.push(after.table.clone());
            }
        }
        if rows > bound || !sequential.is_empty() {
            self.excesses.push(format!(
                "{name} read {rows} rows where {bound} are enough ({}), and sequentially {sequential:?}",
                tables.join(", ")
            ));
        }
        answer
    }

    /// Tasks from submission to every sort of outcome, with what a process does beside it.
    async fn round(&mut self, round: usize) {
        let batch = i64::try_from(BATCH).unwrap();
        let mut new = vec![new_task("pair"); BATCH];
        for (number, task) in new.iter_mut().enumerate() {
            task.idempotency_key = Some(format!("{}", (round + 1) * BATCH + number - BATCH / 2));
        }
        self.call("submit_tasks", Once, 12 * batch, async |connection| {
            tasks::submit_tasks(connection, &new).await.unwrap()
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
                steps::receive_steps(connection, &namespaces, WORKER, 10, LEASE)
                    .await
                    .unwrap()
            })
            .await;
        assert!(received.len() > 4, "{}", received.len());
        let running = received
            .iter()
            .map(|step| (step.id, step.attempt))
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
        let back = back
            .iter()
            .zip([true, false])
            .map(|(step, refused)| ReleasedStep {
                id: step.id,
                attempt: step.attempt,
                msg_id: step.msg_id,
                namespace: step.namespace.clone(),
                refused,
            })
            .collect::<Vec<_>>();
        let released = self
            .call("release_steps", Once, 40, async |connection| {
                steps::release_steps(connection, WORKER, &back, Duration::ZERO, 100)
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
                steps::complete_steps(connection, WORKER, &reports)
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
            .call("fire_due_timers", Once, 20, async |connection| {
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
                steps::complete_and_continue(connection, WORKER, reports, &continuation)
                    .await
                    .unwrap()
            })
            .await;
        assert!(reported.stale.is_empty());
        let next = reported.continued.iter().map(complete).collect::<Vec<_>>();
        let last = self
            .call("complete_steps", Once, 200, async |connection| {
                steps::complete_steps(connection, WORKER, &next)
                    .await
                    .unwrap()
            })
            .await;
        assert!(last.stale.is_empty());
        self.continued += next.len();
    }

    /// What people do, now and then.
    async fn operate(&mut self, failed: &ReceivedStep, waiting: TaskUuid) {
        let step = failed.step_name.as_str();
        let failed = failed.id.task_uuid;
        self.call("get_task", EachTime, 300, async |connection| {
            tasks::get_task(connection, failed).await.unwrap().unwrap()
        })
        .await;
        self.call("task_history", EachTime, 300, async |connection| {
            tasks::task_history(connection, failed).await.unwrap()
        })
        .await;
        self.call("ended_tasks", EachTime, 300, async |connection| {
            tasks::ended_tasks(connection, &[failed, waiting])
                .await
                .unwrap()
        })
        .await;
        self.call("retry_step", EachTime, 300, async |connection| {
            operator::retry_step(connection, failed, step, "me", None)
                .await
                .unwrap();
        })
        .await;
        self.call("settle_step", EachTime, 300, async |connection| {
            let skip = Settlement::Skip(json!(null));
            operator::settle_step(connection, failed, step, &skip, "me", None)
                .await
                .unwrap();
        })
        .await;
        self.call("cancel_task", EachTime, 300, async |connection| {
            operator::cancel_task(connection, waiting, "me", None)
                .await
                .unwrap();
        })
        .await;
    }

    fn assert_frugal(self) {
        assert!(self.excesses.is_empty(), "{:#?}", self.excesses);
    }
}

/// Tasks of long ago, and queues that were large and are empty.
async fn fill(world: &mut World) {
    world
        .run(format!(
            "set synchronous_commit = off;
            create function pg_temp.old_task(n bigint) returns uuid language sql immutable as $$
              select ('01890000-0000-7000-8000-' || lpad(to_hex(n), 8, '0') || '0000')::uuid
            $$;
            insert into tasker.tasks
              (task_uuid, created_at, started_at, finished_at, template_id, state, priority,
              active_steps, context, idempotency_key)
            select pg_temp.old_task(n), now(), now(), now(),
              (select template_id from tasker.templates where name = 'pair'), 'complete', 0, 0, '{{}}',
              n::text
            from generate_series(1, {FINISHED}) n;
            insert into tasker.idempotency_keys
            select 'test', 'pair', 'old ' || n, pg_temp.old_task(n)
            from generate_series(1, {FINISHED}) n;
            insert into tasker.steps
              (task_uuid, step_no, template_id, state, waiting_on, attempt, max_attempts, result)
            select t.task_uuid, step_no, t.template_id, 'complete', 0, 1, 1, '{{}}'
            from tasker.tasks t, generate_series(1, 2) step_no
            where t.task_uuid < '01900000-0000-7000-8000-000000000000';
            insert into tasker.step_transitions
              (task_uuid, at, step_no, attempt, from_state, to_state)
            select task_uuid, now(), step_no, 1, 'in_progress', 'complete' from tasker.steps;
            insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
            select task_uuid, step_no, template_id, 0, now() from tasker.steps;
            insert into tasker.timers select task_uuid, step_no, now() from tasker.steps
            where task_uuid < '01900000-0000-7000-8000-000000000000';
            select count(*) from pgmq.send_batch(
              'worker_test_queue', array(select '{{}}'::jsonb from tasker.tasks)
            );
            delete from tasker.ready_steps;
            delete from tasker.timers;
            delete from pgmq.q_worker_test_queue"
        ))
        .await;
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

/// Adds to [`fill`] what makes lists hard: a template last used long before another, failures
/// among the oldest, and a recent template that outnumbers them.
async fn fill_unevenly(world: &mut World) {
    fill(world).await;
    world.template("late", PAIR).await;
    world
        .apply(json!({
            "namespace": "rare", "name": "rare", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    world
        .run(
            "create function pg_temp.task_like(tasker.tasks, n bigint, template text)
            returns tasker.tasks language sql as $$
              select r from jsonb_populate_record($1, jsonb_build_object(
                'task_uuid', ('01890000-0000-7000-8001-' || lpad(to_hex(n), 8, '0') || '0000'),
                'template_id', (select template_id from tasker.templates where name = template)
              )) r
            $$;
            insert into tasker.tasks
            select (pg_temp.task_like(t, row_number() over (), 'late')).*
            from (select * from tasker.tasks limit 20000) t;
            update tasker.tasks set template_id = (
              select template_id from tasker.templates where name = 'rare'
            ) where task_uuid in (select task_uuid from tasker.tasks order by 1 limit 40);
            update tasker.tasks set state = 'error', failed_steps = 1 where task_uuid in (
              select task_uuid from tasker.tasks order by 1 offset 40 limit 30
            )",
        )
        .await;
}

/// Lists by every filter, from the latest on and from the middle on.
async fn list_by_everything(meter: &mut Meter, when: &str) {
    let names = [None, Some("pair"), Some("late"), Some("rare")];
    let states = [
        None,
        Some(TaskState::Complete),
        Some(TaskState::Error),
        Some(TaskState::InProgress),
    ];
    let middle = TaskUuid("01890000-0000-7000-8000-000080000000".parse().unwrap());
    for name in names {
        for state in states {
            for before in [None, Some(middle)] {
                let filter = TaskFilter {
                    namespace: name.map(|name| if name == "rare" { name } else { "test" }.into()),
                    name: name.map(str::to_owned),
                    state,
                    before,
                    limit: 20,
                };
                let title = format!("{when} list_tasks by {name:?}, {state:?}, {before:?}");
                let listed = meter
                    .call(&title, EachTime, 150, async |connection| {
                        tasks::list_tasks(connection, &filter).await.unwrap()
                    })
                    .await;
                let late = before.is_some() && name == Some("late");
                let expected = match state {
                    Some(TaskState::InProgress) => 0,
                    Some(TaskState::Error) if name.is_some_and(|name| name != "pair") => 0,
                    _ if late => 0,
                    _ => 20,
                };
                assert_eq!(listed.len(), expected, "{title}");
            }
        }
    }
}

#[tokio::test]
async fn lists_read_little_more_than_they_show() {
    let mut meter = Meter::new().await;
    fill_unevenly(&mut meter.world).await;

    list_by_everything(&mut meter, "first").await;
    meter.world.run("analyze").await;
    list_by_everything(&mut meter, "then").await;

    meter.assert_frugal();
}
