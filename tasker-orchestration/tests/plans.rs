//! What the hot functions read depends on what they handle, not on what the tables hold or on what
//! the statistics say of them.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use std::time::Duration;

use sqlx::PgConnection;
use tasker_shared::readiness::{claim_ready_tasks, find_ready_tasks, fire_due_timers};
use tasker_shared::steps::{StepOutcome, StepReport, complete_steps, receive_steps};
use world::World;

/// Tasks that wait while a batch of others is handled.
const WAITING: i32 = 3000;
/// Steps handled by one call.
const BATCH: i32 = 50;
/// Rows of one table that one call may read for each step it handles.
const ROWS_A_STEP: i64 = 8;

async fn submit(connection: &mut PgConnection, tasks: i32) {
    sqlx::query(
        "select from tasker.submit_tasks((select jsonb_agg(\
         jsonb_build_object('namespace', 'shop', 'name', 'order')) from generate_series(1, $1)))",
    )
    .bind(tasks)
    .execute(connection)
    .await
    .unwrap();
}

/// Rows read from each table in the present transaction, the most read first.
async fn rows_read(connection: &mut PgConnection) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select relname::text, seq_tup_read + coalesce(idx_tup_fetch, 0) as read \
         from pg_stat_xact_user_tables where schemaname in ('tasker', 'pgmq') order by 2 desc",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// Runs one call in a transaction of its own and fails when it reads more than its share.
async fn frugal<T>(
    connection: &mut PgConnection,
    name: &str,
    call: impl AsyncFnOnce(&mut PgConnection) -> T,
) -> T {
    sqlx::query("begin")
        .execute(&mut *connection)
        .await
        .unwrap();
    let before = rows_read(connection).await;
    let result = call(connection).await;
    let after = rows_read(connection).await;
    sqlx::query("commit")
        .execute(&mut *connection)
        .await
        .unwrap();
    for (table, read) in after {
        let already = before.iter().find(|(name, _)| *name == table);
        let read = read - already.map_or(0, |(_, read)| *read);
        assert!(
            read <= ROWS_A_STEP * i64::from(BATCH),
            "{name} read {read} rows of {table} to handle {BATCH} steps"
        );
    }
    result
}

/// Handles one batch from claim to completion, each call on a new connection, where no plan is left
/// from other statistics.
async fn handle_a_batch(world: &World) {
    let mut connection = world.db.connect().await;
    let found = frugal(&mut connection, "find_ready_tasks", async |connection| {
        find_ready_tasks(connection, Duration::ZERO, BATCH)
            .await
            .unwrap()
    })
    .await;
    assert_eq!(found.len(), 50);
    let mut connection = world.db.connect().await;
    let claimed = frugal(&mut connection, "claim_ready_tasks", async |connection| {
        claim_ready_tasks(connection, "test", BATCH).await.unwrap()
    })
    .await;
    assert_eq!(claimed.len(), 50);
    let mut connection = world.db.connect().await;
    let received = frugal(&mut connection, "receive_steps", async |connection| {
        let lease = Duration::from_mins(10);
        let shop = ["shop".to_owned()];
        receive_steps(
            connection,
            "worker",
            &tasker_shared::steps::Demand::of_any(&shop, BATCH, lease),
        )
        .await
        .unwrap()
        .steps
    })
    .await;
    assert_eq!(received.len(), 50);
    let reports: Vec<_> = received
        .into_iter()
        .map(|step| StepReport {
            id: step.id,
            receipt: step.receipt,
            msg_id: step.msg_id,
            namespace: step.namespace,
            outcome: StepOutcome::Complete(serde_json::Value::Null),
        })
        .collect();
    let mut connection = world.db.connect().await;
    let reported = frugal(&mut connection, "complete_steps", async |connection| {
        complete_steps(
            connection,
            "worker",
            &reports,
            tasker_shared::steps::Locks::Wait,
        )
        .await
        .unwrap()
    })
    .await;
    assert!(reported.stale.is_empty());
    let mut connection = world.db.connect().await;
    frugal(&mut connection, "fire_due_timers", async |connection| {
        fire_due_timers(connection, BATCH).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_handled_by_key_when_the_statistics_know_of_empty_tables() {
    let world = World::create().await;
    let mut connection = world.db.connect().await;
    sqlx::query("analyze")
        .execute(&mut connection)
        .await
        .unwrap();
    submit(&mut connection, WAITING).await;

    handle_a_batch(&world).await;

    world.assert_sound().await;
}

#[tokio::test]
async fn a_batch_is_handled_by_key_when_the_statistics_know_only_of_busy_tasks() {
    let world = World::create().await;
    let mut connection = world.db.connect().await;
    submit(&mut connection, WAITING).await;
    claim_ready_tasks(&mut connection, "test", WAITING)
        .await
        .unwrap();
    sqlx::query("analyze")
        .execute(&mut connection)
        .await
        .unwrap();
    submit(&mut connection, WAITING).await;

    handle_a_batch(&world).await;

    world.assert_sound().await;
}

#[tokio::test]
async fn a_batch_is_handled_by_key_when_the_statistics_know_only_of_waiting_tasks() {
    let world = World::create().await;
    let mut connection = world.db.connect().await;
    submit(&mut connection, WAITING).await;
    sqlx::query("analyze")
        .execute(&mut connection)
        .await
        .unwrap();

    handle_a_batch(&world).await;

    world.assert_sound().await;
}
