//! Tables that are rewritten without their dead rows while something holds back vacuum.

#![allow(clippy::unwrap_used)]

mod support;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use support::{DIAMOND, SINGLE, World, retry};
use tasker_shared::config::{DatabaseConfig, Pooler};
use tasker_shared::database::Database;
use tasker_shared::doctor;
use tasker_shared::readiness::{DeadRowsDiscarded, discard_dead_rows, vacuum};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

const READY: &str = "tasker.ready_steps";
const TIMERS: &str = "tasker.timers";
const QUEUE: &str = "pgmq.q_worker_test_queue";

/// Far more dead rows than a table may have.
const DEAD: i32 = 30_000;

/// A world with a step that is ready, one that is queued, one that runs and one that waits for its
/// time.
async fn world() -> World {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.template("diamond", DIAMOND).await;
    world.submit("single").await;
    let failed = world.start_one().await;
    world.report(&[retry(&failed)]).await;
    world.submit("diamond").await;
    world.start_one().await;
    world.submit("single").await;
    world.claim().await;
    world.submit("diamond").await;
    world
}

/// Puts rows into the tables and leaves those that `but` selects.
async fn litter(world: &mut World, but: &str) {
    world
        .run(format!(
            "set tasker.announce to 'off';
            insert into {READY} (task_uuid, ready_at, step_no, template_id, priority)
            select gen_random_uuid(), now(), -n, 1, 9 from generate_series(1, {DEAD}) n;
            insert into {TIMERS} (task_uuid, step_no, due_at)
            select gen_random_uuid(), -n, 'infinity' from generate_series(1, {DEAD}) n;
            insert into {QUEUE} (vt, message)
            select now(), jsonb_build_object('litter', n) from generate_series(1, {DEAD}) n;
            delete from {READY} where step_no < 0 and not ({but});
            delete from {TIMERS} where step_no < 0;
            delete from {QUEUE} where message ? 'litter';
            reset tasker.announce"
        ))
        .await;
}

/// Holds back vacuum with an old snapshot until the connection is dropped.
async fn hold_back_vacuum(world: &mut World) -> PgConnection {
    let mut holder = world.db.connect().await;
    for statement in [
        "begin isolation level repeatable read",
        "select count(*) from pg_class",
    ] {
        sqlx::query(statement).execute(&mut holder).await.unwrap();
    }
    world
        .run(
            "do $$ begin
               for n in 1..600 loop perform pg_current_xact_id(); commit; end loop;
             end $$",
        )
        .await;
    holder
}

async fn look(world: &mut World) -> DeadRowsDiscarded {
    discard_dead_rows(&mut world.connection).await.unwrap()
}

/// All that the tables hold.
async fn content(world: &mut World) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for table in [READY, TIMERS, QUEUE] {
        let rows = format!("select string_agg(r::text, ';' order by r::text) from {table} r");
        all.push(world.value(rows).await);
    }
    all
}

async fn size(world: &mut World, table: &str) -> i64 {
    world
        .value(format!("select pg_relation_size('{table}')"))
        .await
}

#[tokio::test]
async fn dead_rows_are_discarded_and_all_others_stay_as_they_are() {
    let mut world = world().await;
    let before = content(&mut world).await;
    assert!(before.iter().all(Option::is_some), "{before:?}");
    let _holder = hold_back_vacuum(&mut world).await;
    litter(&mut world, "false").await;

    let mut written = Vec::new();
    for remaining in [2, 1, 0] {
        let look = look(&mut world).await;
        assert!(look.held_back);
        assert_eq!(look.remaining, remaining);
        written.push(look.written.unwrap());
    }

    written.sort();
    assert_eq!(written, [QUEUE, READY, TIMERS]);
    for table in [READY, TIMERS, QUEUE] {
        assert!(size(&mut world, table).await < 100_000);
    }
    assert_eq!(content(&mut world).await, before);
    assert_eq!(look(&mut world).await.written, None);
    world.assert_healthy().await;
    // Numbers that were given out are not given out again.
    world.claim().await;
    let messages: (i64, i64) = sqlx::query_as(AssertSqlSafe(format!(
        "select count(*), count(distinct msg_id) from {QUEUE}"
    )))
    .fetch_one(&mut world.connection)
    .await
    .unwrap();
    assert_eq!(messages.0, messages.1);
    world.expire_leases().await;
    world.run_all().await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn nothing_is_written_but_much_to_vacuum_where_that_is_free() {
    let mut world = world().await;
    litter(&mut world, "false").await;
    let before = size(&mut world, READY).await;

    let mut look = look(&mut world).await;

    look.to_vacuum.sort();
    assert_eq!(
        look,
        DeadRowsDiscarded {
            held_back: false,
            written: None,
            remaining: 0,
            to_vacuum: [QUEUE, READY, TIMERS].map(str::to_owned).to_vec(),
        }
    );
    assert_eq!(size(&mut world, READY).await, before);
}

#[tokio::test]
async fn a_table_too_large_to_vacuum_is_rewritten_unless_much_of_it_lives() {
    let mut world = world().await;
    // Each on a page of its own: 10,001 rows of 8 kB, one more than are copied.
    world
        .run(format!(
            "alter table {QUEUE} alter message set storage plain;
            insert into {QUEUE} (vt, message)
            select now(), jsonb_build_object('litter', repeat('x', 7000))
            from generate_series(1, 10001)"
        ))
        .await;
    // The last page, so that no vacuum can cut the table.
    world.submit("single").await;
    world.claim().await;

    let full = look(&mut world).await;
    world
        .run(format!("delete from {QUEUE} where message ? 'litter'"))
        .await;
    let after = content(&mut world).await;
    let emptied = look(&mut world).await;

    let left = DeadRowsDiscarded {
        held_back: false,
        written: None,
        remaining: 1,
        to_vacuum: vec![],
    };
    assert_eq!(full, left);
    let written = DeadRowsDiscarded {
        written: Some(QUEUE.to_owned()),
        remaining: 0,
        ..left
    };
    assert_eq!(emptied, written);
    assert!(size(&mut world, QUEUE).await < 100_000);
    assert_eq!(content(&mut world).await, after);
    world.assert_healthy().await;
}

#[tokio::test]
async fn tables_are_vacuumed_behind_a_pooler_too() {
    let mut world = world().await;
    litter(&mut world, "false").await;
    let look = look(&mut world).await;
    for pooler in [Pooler::None, Pooler::Transaction] {
        let config = DatabaseConfig {
            url: world.db.url().into(),
            pooler,
            ..DatabaseConfig::default()
        };
        let database = Database::connect(&config).await.unwrap();

        vacuum(&mut database.dedicated(), &look.to_vacuum)
            .await
            .unwrap();
    }

    wait_until("the vacuums are counted", WAIT_TIMEOUT, async || {
        let vacuums: i64 = world
            .value(
                "select min(vacuum_count) from pg_stat_user_tables
                 where relid = any(tasker.queue_tables())",
            )
            .await;
        vacuums == 2
    })
    .await;
}

#[tokio::test]
async fn a_table_that_somebody_keeps_locked_is_left_and_has_its_turn_later() {
    let mut world = world().await;
    let _holder = hold_back_vacuum(&mut world).await;
    litter(&mut world, "false").await;
    let mut reader = world.begin().await;
    sqlx::query("select count(*) from tasker.ready_steps, tasker.timers")
        .execute(&mut *reader)
        .await
        .unwrap();

    let first = look(&mut world).await;
    let second = look(&mut world).await;

    assert_eq!(first.written.as_deref(), Some(QUEUE));
    assert_eq!((second.written, second.remaining), (None, 2));
    reader.rollback().await.unwrap();
    assert!(look(&mut world).await.written.is_some());
    assert!(look(&mut world).await.written.is_some());
    assert_eq!(look(&mut world).await.remaining, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_table_that_cannot_even_be_measured_keeps_no_other_from_its_turn() {
    let mut world = world().await;
    litter(&mut world, "false").await;
    let mut owner = world.begin().await;
    lock(&mut owner).await;

    let mut look = look(&mut world).await;

    look.to_vacuum.sort();
    assert_eq!(look.to_vacuum, [READY, TIMERS]);
    assert_eq!((look.written, look.remaining), (None, 0));
    owner.rollback().await.unwrap();

    let _holder = hold_back_vacuum(&mut world).await;
    let mut owner = world.begin().await;
    lock(&mut owner).await;
    for remaining in [1, 0] {
        let look = self::look(&mut world).await;
        assert!(look.written.is_some_and(|table| table != QUEUE));
        assert_eq!(look.remaining, remaining);
    }
    owner.rollback().await.unwrap();
    assert_eq!(self::look(&mut world).await.written.as_deref(), Some(QUEUE));
    world.assert_healthy().await;
}

/// Keeps a queue from everybody else.
async fn lock(owner: &mut PgConnection) {
    let lock = sqlx::raw_sql("lock table pgmq.q_worker_test_queue in access exclusive mode");
    lock.execute(owner).await.unwrap();
}

#[tokio::test]
async fn a_table_whose_rows_live_is_not_copied() {
    let mut world = world().await;
    let _holder = hold_back_vacuum(&mut world).await;
    litter(&mut world, "priority = 9").await;

    assert!(look(&mut world).await.written.is_some());
    assert!(look(&mut world).await.written.is_some());
    let last = look(&mut world).await;

    assert_eq!((last.written, last.remaining), (None, 1));
    assert!(size(&mut world, READY).await > 1_000_000);
}

#[tokio::test]
async fn the_doctor_is_not_misled_by_a_table_that_is_written_while_it_looks() {
    let mut world = world().await;
    let mut writer = world.begin().await;
    let written: bool = sqlx::query_scalar("select tasker.rewrite_table('tasker.ready_steps')")
        .fetch_one(&mut *writer)
        .await
        .unwrap();
    assert!(written);

    let examination = world
        .start_blocked(|mut connection| async move {
            let findings = doctor::examine(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            findings
        })
        .await;
    writer.commit().await.unwrap();

    let findings = examination.await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}
