//! An orchestrator keeps the tables small while something holds back vacuum.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use tasker_shared::config::DeploymentMode::EventDrivenOnly;
use tasker_testing::{PATIENCE, wait_until};
use world::World;

/// Enough claims for a look.
const TASKS: i64 = 6_000;

#[tokio::test]
async fn tables_full_of_dead_rows_are_written_anew_while_vacuum_is_held_back() {
    let world = World::create().await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::raw_sql("set transaction isolation level repeatable read; select count(*) from pg_class")
        .execute(&mut *holder)
        .await
        .unwrap();
    sqlx::raw_sql(
        "insert into tasker.ready_steps (task_uuid, ready_at, step_no, template_id, priority)
         select gen_random_uuid(), now(), -n, 1, 9 from generate_series(1, 100000) n;
         delete from tasker.ready_steps",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    sqlx::raw_sql(
        "do $$ begin
           for n in 1..600 loop perform pg_current_xact_id(); commit; end loop;
         end $$",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let size = async || -> i64 {
        sqlx::query_scalar("select pg_relation_size('tasker.ready_steps')")
            .fetch_one(&world.pool)
            .await
            .unwrap()
    };
    let littered = size().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;

    sqlx::query(
        "select count(*) from tasker.submit_tasks((
           select jsonb_agg(jsonb_build_object('namespace', 'shop', 'name', 'order'))
           from generate_series(1, $1)
         ))",
    )
    .bind(TASKS)
    .execute(&world.pool)
    .await
    .unwrap();

    world.wait_until_queued(TASKS).await;
    wait_until("the dead rows are gone", PATIENCE, async || {
        size().await < littered / 10
    })
    .await;
    orchestrator.stop().await;
    holder.rollback().await.unwrap();
    world.assert_sound().await;
}
