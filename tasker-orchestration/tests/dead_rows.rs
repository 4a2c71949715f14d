//! An orchestrator keeps the tables small while something holds back vacuum.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use tasker_shared::config::DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

/// Enough claims for a look.
const TASKS: i64 = 12_000;

/// Has rows come and go.
async fn leave_dead_rows(world: &World) {
    sqlx::raw_sql(
        "insert into tasker.ready_steps (task_uuid, ready_at, step_no, template_id, priority)
         select gen_random_uuid(), now(), -n, 1, 9 from generate_series(1, 100000) n;
         delete from tasker.ready_steps",
    )
    .execute(&world.pool)
    .await
    .unwrap();
}

async fn until_vacuumed(world: &World) {
    wait_until("a vacuum is counted", WAIT_TIMEOUT, async || {
        sqlx::query_scalar(
            "select vacuum_count > 0 from pg_stat_user_tables where relname = 'ready_steps'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap()
    })
    .await;
}

/// Has rows come and go, and then an orchestrator claim.
async fn claim_much(world: &World) {
    leave_dead_rows(world).await;
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
    orchestrator.stop().await;
}

#[tokio::test]
async fn tables_full_of_dead_rows_are_vacuumed() {
    let world = World::create().await;

    claim_much(&world).await;

    until_vacuumed(&world).await;
    world.assert_sound().await;
}

#[tokio::test]
async fn they_are_vacuumed_as_well_where_submissions_enqueue_and_nothing_is_claimed() {
    let world = World::create().await;
    leave_dead_rows(&world).await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;
    assert!(orchestrator.enqueuing().is_some());

    for _ in 0..TASKS / 100 {
        orchestrator.enqueued_beside(100);
    }

    until_vacuumed(&world).await;
    orchestrator.stop().await;
}

#[tokio::test]
async fn submissions_enqueue_only_for_an_orchestrator_that_listens_and_wants_it() {
    let world = World::create().await;
    for (mode, on_submission, enqueues) in [
        (EventDrivenOnly, true, true),
        (Hybrid, true, true),
        (Hybrid, false, false),
        (PollingOnly, true, false),
    ] {
        let mut config = world.config(mode);
        config.orchestration.claims.on_submission = on_submission;
        config.orchestration.namespaces = vec!["shop".to_owned()];
        "this-one".clone_into(&mut config.orchestration.instance_id);
        let orchestrator = world.start(&config).await;
        let enqueuing = orchestrator.enqueuing();
        assert_eq!(enqueuing.is_some(), enqueues, "{mode:?}");
        let named = enqueuing.map(|it| (it.processor, it.namespaces));
        let expected = ("this-one".to_owned(), vec!["shop".to_owned()]);
        assert!(named.is_none_or(|named| named == expected));
        orchestrator.stop().await;
    }
}

#[tokio::test]
async fn they_are_rewritten_while_vacuum_is_held_back() {
    let world = World::create().await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::raw_sql("set transaction isolation level repeatable read; select count(*) from pg_class")
        .execute(&mut *holder)
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

    claim_much(&world).await;

    let size: i64 = sqlx::query_scalar("select pg_relation_size('tasker.ready_steps')")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(size < 1_000_000, "{size} bytes");
    holder.rollback().await.unwrap();
    world.assert_sound().await;
}
