//! Steps that another transaction holds up, by a row or a table.

use serde_json::json;
use sqlx::{Executor, PgConnection, Postgres, Transaction};
use tasker_shared::ids::TaskUuid;
use tasker_shared::why::Cause;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::support::World;
use crate::{assert_why, reasons, served};

/// A transaction that has done this, a second ago.
async fn holder(world: &mut World, statement: String) -> (Transaction<'static, Postgres>, i32) {
    let mut holder = world.begin().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut *holder)
        .await
        .unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *holder)
        .await
        .unwrap();
    wait_until(
        "the transaction is a second old",
        WAIT_TIMEOUT,
        async || is_old(&mut world.connection, pid).await,
    )
    .await;
    (holder, pid)
}

async fn is_old(connection: &mut PgConnection, pid: i32) -> bool {
    sqlx::query_scalar(
        "select xact_start < clock_timestamp() - interval '1 s' from pg_stat_activity
         where pid = $1",
    )
    .bind(pid)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Says that this transaction holds the step up, until it ends.
async fn assert_locked_by(world: &mut World, task: TaskUuid, statement: String, says: &str) {
    let (held, pid) = holder(world, statement).await;
    let reason = assert_why(world, task, Cause::Locked, says).await;
    assert_eq!(reason.evidence["pid"], pid);
    assert!(
        reason
            .action
            .unwrap()
            .contains(&format!("pg_terminate_backend({pid})"))
    );
    held.rollback().await.unwrap();
    let after = reasons(world, task).await;
    assert!(
        after.iter().all(|reason| reason.cause != Cause::Locked),
        "{after:#?}"
    );
}

#[tokio::test]
async fn a_ready_step_whose_task_is_held() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let statement = format!("select from tasker.tasks where task_uuid = '{task}' for update");
    assert_locked_by(&mut world, task, statement, "holds its row for 1 s").await;
}

#[tokio::test]
async fn a_ready_step_that_is_held() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let statement = format!("select from tasker.steps where task_uuid = '{task}' for update");
    assert_locked_by(&mut world, task, statement, "holds its row for 1 s").await;
}

#[tokio::test]
async fn an_enqueued_step_whose_message_is_held() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    let statement = "select from pgmq.q_worker_test_queue for update".to_owned();
    assert_locked_by(&mut world, task, statement, "holds its row for 1 s").await;
}

#[tokio::test]
async fn a_ready_step_whose_offer_is_held() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let statement = "select from tasker.ready_steps for update".to_owned();
    assert_locked_by(&mut world, task, statement, "holds its row for 1 s").await;
}

#[tokio::test]
async fn an_enqueued_step_that_is_held() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    let statement = format!("select from tasker.steps where task_uuid = '{task}' for update");
    assert_locked_by(&mut world, task, statement, "holds its row for 1 s").await;
}

#[tokio::test]
async fn of_several_sessions_the_one_is_named_that_has_held_it_for_longest() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let share = "lock table tasker.steps in share mode";
    let (first, pid) = holder(&mut world, share.to_owned()).await;
    let (second, _) = holder(&mut world, share.to_owned()).await;

    let reason = assert_why(&mut world, task, Cause::Locked, "tasker.steps").await;
    assert_eq!(reason.evidence["pid"], pid);
    first.rollback().await.unwrap();
    second.rollback().await.unwrap();
}

#[tokio::test]
async fn a_session_that_waits_for_a_lock_holds_nothing() {
    let mut world = served().await;
    let task = world.submit("single").await;
    // The older of the two transactions is the one that waits.
    let (mut older, _) = holder(&mut world, "select 1".to_owned()).await;
    let row = format!("select from tasker.tasks where task_uuid = '{task}' for update");
    let (held, pid) = holder(&mut world, row.clone()).await;
    let waits = tokio::spawn(async move {
        older.execute(sqlx::AssertSqlSafe(row)).await.unwrap();
        older.rollback().await.unwrap();
    });
    wait_until("a session waits", WAIT_TIMEOUT, async || {
        let blocked = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock')";
        sqlx::query_scalar(blocked)
            .fetch_one(&mut world.connection)
            .await
            .unwrap()
    })
    .await;

    let reason = assert_why(&mut world, task, Cause::Locked, "holds its row").await;
    assert_eq!(reason.evidence["pid"], pid);
    held.rollback().await.unwrap();
    waits.await.unwrap();
}

#[tokio::test]
async fn a_prepared_transaction_that_holds_a_row_or_a_table_is_named() {
    let mut world = served().await;
    let most: String = world.value("show max_prepared_transactions").await;
    if most == "0" {
        return;
    }
    let task = world.submit("single").await;
    let gid = format!("holds {task}");
    for (statement, says) in [
        (
            "select from tasker.tasks for update",
            "holds its row for 1 s",
        ),
        (
            "lock table tasker.steps in share mode",
            "holds the table tasker.steps",
        ),
    ] {
        let prepare = format!("begin; {statement}; prepare transaction '{gid}'");
        world.run(prepare).await;
        let old = "select prepared < clock_timestamp() - interval '1 s' from pg_prepared_xacts
            where database = current_database()";
        wait_until("it is a second old", WAIT_TIMEOUT, async || {
            world.value(old).await
        })
        .await;

        let reason = assert_why(&mut world, task, Cause::Locked, says).await;
        assert_eq!(reason.evidence["prepared_transaction"], json!(gid));
        let rollback = format!("rollback prepared '{gid}'");
        assert!(reason.action.unwrap().ends_with(&rollback));
        world.run(rollback).await;
    }
}

#[tokio::test]
async fn a_lock_in_another_database_is_no_reason() {
    let mut world = served().await;
    let task = world.submit("single").await;
    // A copy: its tables have the same numbers.
    let mut copy = World::new().await;
    let share = "lock table tasker.steps in share mode";
    let (held, _) = holder(&mut copy, share.to_owned()).await;

    assert_why(&mut world, task, Cause::WaitsToBeClaimed, "0 steps").await;
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn an_enqueued_step_whose_queue_is_locked_at_this_moment() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    let mut moment = world.begin().await;
    sqlx::query("lock table pgmq.q_worker_test_queue")
        .execute(&mut *moment)
        .await
        .unwrap();

    let reason = &reasons(&mut world, task).await[0];
    moment.rollback().await.unwrap();
    assert_eq!(reason.cause, Cause::Locked, "{reason:#?}");
    assert_eq!(reason.step_name.as_deref(), Some("only"));
}

#[tokio::test]
async fn an_enqueued_step_whose_queue_is_locked() {
    let mut world = served().await;
    let task = world.submit("single").await;
    world.claim().await;
    let statement = "lock table pgmq.q_worker_test_queue".to_owned();
    let says = "holds the table pgmq.q_worker_test_queue";
    assert_locked_by(&mut world, task, statement, says).await;
}

#[tokio::test]
async fn a_step_whose_table_takes_no_writes() {
    let mut world = served().await;
    let task = world.submit("single").await;
    // As an index is made that is not made concurrently.
    let statement = "lock table tasker.steps in share mode".to_owned();
    let says = "holds the table tasker.steps";
    assert_locked_by(&mut world, task, statement, says).await;
}

#[tokio::test]
async fn a_step_whose_log_takes_no_writes() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let statement = "lock table tasker.step_log in share mode".to_owned();
    let says = "holds the table tasker.step_log";
    assert_locked_by(&mut world, task, statement, says).await;
}

#[tokio::test]
async fn steps_of_which_any_table_cannot_even_be_read() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select distinct format('tasker.%s', c.relname) from pg_class c
         join pg_proc p on p.pronamespace = c.relnamespace
           and p.prosrc ~ ('(from|join) tasker\\.' || c.relname || '\\M')
         where c.relnamespace = 'tasker'::regnamespace and c.relkind = 'r'
           and (p.proname like 'why%' or p.proname = 'last_seen')",
    )
    .fetch_all(&mut world.connection)
    .await
    .unwrap();
    assert_eq!(tables.len(), 9, "{tables:?}");
    let (mut held, pid) = holder(&mut world, "savepoint free".to_owned()).await;
    for table in tables {
        let lock = format!("lock table {table}");
        held.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();

        let reasons = reasons(&mut world, task).await;
        assert_eq!(reasons.len(), 1, "{reasons:#?}");
        assert_eq!(reasons[0].cause, Cause::Locked);
        assert_eq!((&reasons[0].step_name, reasons[0].state), (&None, None));
        let evidence = &reasons[0].evidence;
        assert_eq!(
            (&evidence["pid"], &evidence["table"]),
            (&pid.into(), &table.into())
        );
        held.execute("rollback to free").await.unwrap();
    }
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn what_is_held_for_a_moment_is_no_reason() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let mut moment = world.begin().await;
    sqlx::query("lock table tasker.steps in share mode")
        .execute(&mut *moment)
        .await
        .unwrap();

    assert_why(&mut world, task, Cause::WaitsToBeClaimed, "0 steps").await;
    moment.rollback().await.unwrap();
}
