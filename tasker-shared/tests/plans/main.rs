//! What the hot calls read. Plans of an engine must not depend on statistics: tables that were just
//! empty are large a minute later, and generic plans stay for the life of a connection. So every
//! call is repeated on one connection and its reads are counted, on tables never analyzed and on
//! large ones whose statistics say that the queues are empty.

#![allow(clippy::unwrap_used)]

mod backlog;
mod calls;
mod events;
mod gauges;
mod lists;
mod overview;
mod search;
#[path = "../support/mod.rs"]
mod support;
mod why;
mod without_worker;

use sqlx::PgConnection;
use support::World;

/// Tasks that ended long ago.
const FINISHED: i64 = 50_000;

/// Steps side by side in a template of which there is no task.
const WIDE: usize = 2_000;

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

/// Namespaces are few, and calls that serve them all look at one after the other. So are processes.
const READS: &str = "
    select relname::text as table, seq_scan as scans,
      seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
    from pg_stat_xact_all_tables
    where schemaname in ('tasker', 'pgmq') and relname not in (
        'namespaces', 'queues_intact', 'queues_to_refill', 'processes'
      )
    order by relid";

/// Whether a call may read tables sequentially, which costs nothing while they are small.
#[derive(Clone, Copy, PartialEq)]
enum Planned {
    /// Its plans are made once for the life of a connection.
    Once,
    /// Its plans are made again each time, and know how large the tables are.
    EachTime,
}

impl Meter {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.template("pair", PAIR).await;
        // What others need many steps for is no reason to read many.
        let names: Vec<String> = (0..WIDE).map(|number| format!("step_{number}")).collect();
        let after_first: &[&str] = &["first"];
        let mut wide: Vec<_> = names.iter().map(|name| (&**name, after_first)).collect();
        wide.push(("first", &[]));
        world.template("wide", &wide).await;
        world.run("analyze tasker.template_steps").await;
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
            insert into tasker.step_log
              (task_uuid, at, step_no, attempt, from_state, to_state)
            select task_uuid, now(), step_no, 1, 'in_progress', 'complete' from tasker.steps;
            insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
            select task_uuid, step_no, template_id, 0, now() from tasker.steps;
            insert into tasker.timers select task_uuid, step_no, now() from tasker.steps
            where task_uuid < '01900000-0000-7000-8000-000000000000';
            select count(*) from pgmq.send_batch(
              'worker_test_queue', array(select '{{}}'::jsonb from tasker.tasks)
            );
            select brin_summarize_new_values('tasker.task_transitions_by_ranges'),
              brin_summarize_new_values('tasker.step_transitions_by_ranges');
            delete from tasker.ready_steps;
            delete from tasker.timers;
            delete from pgmq.q_worker_test_queue"
        ))
        .await;
}
