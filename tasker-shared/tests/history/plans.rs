//! What pruning reads, where much history lies before and around what is due.

use tasker_shared::history::{Sweep, refresh_log_ranges};

use crate::support::World;
use crate::{DAY, complete_task, config, of, retention, with_template};

/// Tasks that have not ended, submitted before the others.
const UNFINISHED: i64 = 20_000;

/// Rows of the tables of history that the last calls read, and whether any was read whole.
async fn reads(world: &mut World) -> (i64, i64) {
    sqlx::query_as(
        "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint, sum(seq_scan)::bigint
        from pg_stat_xact_all_tables
        where schemaname = 'tasker'
          and relname in ('tasks', 'steps', 'task_transitions', 'step_log', 'timers',
            'idempotency_keys')",
    )
    .fetch_one(&mut world.connection)
    .await
    .unwrap()
}

/// Tasks in the state, with rows in both logs, all submitted before those that come after.
async fn fill(world: &mut World, tasks: i64, ended: bool) {
    let (state, end, active) = if ended {
        ("complete", "tasker.now()", 0)
    } else {
        ("in_progress", "null", 1)
    };
    world
        .run(format!(
            "with past as (
              select tasker.new_task_uuid() as task_uuid from generate_series(1, {tasks})
            ), done as (
              insert into tasker.tasks (task_uuid, created_at, started_at, finished_at, template_id,
                state, priority, active_steps, context)
              select task_uuid, now(), now(), {end}, 1, '{state}', 0, {active}, '{{}}' from past
            ), steps as (
              insert into tasker.steps (task_uuid, step_no, template_id, state, waiting_on,
                max_attempts)
              select task_uuid, 1, 1, 'complete', 0, 3 from past
            ), log as (
              insert into tasker.task_transitions (task_uuid, at, from_state, to_state)
              select task_uuid, now(), 'pending', 'in_progress' from past
            )
            insert into tasker.step_log
              (task_uuid, at, step_no, attempt, from_state, to_state)
            select task_uuid, now(), 1, 1, 'in_progress', 'complete' from past"
        ))
        .await;
}

#[tokio::test]
async fn no_round_reads_all_of_history_however_much_of_it_has_not_ended() {
    let mut world = with_template().await;
    fill(&mut world, UNFINISHED, false).await;
    world.run("select tasker.summarize_transitions()").await;
    complete_task(&mut world).await;
    world.advance(DAY * 31).await;
    let retention = retention(&config());
    while retention
        .sweep(&mut world.connection, of(30))
        .await
        .unwrap()
        .reached
        .is_some()
    {}
    // What is due next is ahead of the sweep: its time has come to what it saw already.
    world
        .run("update tasker.history_sweeps set reached = (select max(task_uuid::text)::uuid from tasker.tasks)")
        .await;
    let due = complete_task(&mut world).await;
    world.advance(DAY * 31).await;
    let mut counted = 0;
    for round in 0..8 {
        world.run("begin").await;
        let before = reads(&mut world).await;
        let pruned = retention
            .sweep(&mut world.connection, of(30))
            .await
            .unwrap();
        let behind = retention
            .sweep(&mut world.connection, Sweep::Behind)
            .await
            .unwrap();
        let after = reads(&mut world).await;
        if round == 0 {
            assert_eq!(pruned.count(), 1, "{due} is due");
        }
        world.run("commit").await;
        let (rows, scans) = (after.0 - before.0, after.1 - before.1);
        // About once a second, a session gives its counts away and begins again.
        if rows < 0 || scans < 0 {
            continue;
        }
        counted += 1;
        assert_eq!(scans, 0, "round {round} reads a table whole");
        // The part of the sweep behind sees 2,000; ranges of pages of the logs are read whole.
        assert!(rows < 15_000, "round {round} reads {rows} rows");
        assert!(behind.reached.is_some() || round > 0);
    }
    assert!(counted > 0);
}

#[tokio::test]
async fn a_history_that_was_written_where_others_left_is_found_again_without_reading_all() {
    let mut world = with_template().await;
    for _ in 0..4 {
        fill(&mut world, 10_000, true).await;
        world.run("select tasker.summarize_transitions()").await;
        world.run("delete from tasker.step_log").await;
        world.run("delete from tasker.task_transitions").await;
        world.run("vacuum tasker.step_log").await;
        world.run("vacuum tasker.task_transitions").await;
    }
    fill(&mut world, 40_000, true).await;
    world.run("select tasker.summarize_transitions()").await;
    refresh_log_ranges(&mut world.connection, DAY, DAY)
        .await
        .unwrap();
    refresh_log_ranges(&mut world.connection, DAY, DAY)
        .await
        .unwrap();
    let task: uuid::Uuid = world
        .value("select task_uuid from tasker.tasks order by task_uuid desc offset 20000 limit 1")
        .await;
    world.run("begin").await;
    let before = reads(&mut world).await;
    let moves: i64 = world
        .value(format!(
            "select count(*) from tasker.task_history('{task}')"
        ))
        .await;
    let after = reads(&mut world).await;
    assert_eq!(moves, 2);
    let rows = after.0 - before.0;
    assert!(rows < 25_000, "{rows} rows are read for one task");
    world.run("commit").await;
}
