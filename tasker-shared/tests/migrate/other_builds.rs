//! Databases that other builds migrated, changed functions, and the SQL of a dry run.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use tasker_shared::schema::{SchemaState, migrate, pending_sql, schema_state};
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};

use crate::{refusal, run};

#[tokio::test]
async fn a_migration_applied_in_another_form_is_refused_by_its_name() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "update tasker.applied_files set checksum = 'another' where file like '%/0004_%'",
    )
    .await;
    let database = db.database().await;

    let refused = refusal(&database).await;

    assert!(refused.contains("migrations/0004_steps.sql"), "{refused}");
    assert!(refused.contains("use the build that made it"), "{refused}");
    assert!(!schema_state(&database).await.unwrap().is_usable());
}

#[tokio::test]
async fn a_migration_that_this_version_does_not_know_is_refused_by_its_name() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "insert into tasker.applied_files values ('migrations/9999_future.sql', 'some')",
    )
    .await;

    let refused = refusal(&db.database().await).await;

    assert!(refused.contains("migrations/9999_future.sql"), "{refused}");
}

#[tokio::test]
async fn a_schema_from_before_the_first_release_is_refused() {
    let db = TestDatabase::empty().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "create schema tasker; create table tasker._migrations (version bigint)",
    )
    .await;

    let refused = refusal(&db.database().await).await;

    assert!(refused.contains("before the first release"), "{refused}");
}

#[tokio::test]
async fn a_function_whose_text_changed_is_applied_again_and_no_other() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let database = db.database().await;
    let applied = "select file from tasker.applied_files where applied_at >= $1 order by file";
    let before: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    run(
        &mut connection,
        "create or replace function tasker.retry_delay_ms(
          p_backoff text, p_base_ms bigint, p_max_ms bigint, p_jitter boolean, p_attempt int
        ) returns bigint language sql as 'select 7::bigint';
        update tasker.applied_files set checksum = 'that of an earlier text'
        where file = 'functions/engine/retry_delay_ms.sql'",
    )
    .await;
    let state = schema_state(&database).await.unwrap();
    assert!(matches!(state, SchemaState::Outdated { .. }), "{state:?}");
    assert!(!state.is_usable());

    let migrated = migrate(&database).await.unwrap();

    assert!(migrated.changed);
    let again: Vec<String> = sqlx::query_scalar(applied)
        .bind(before)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(again, ["functions/engine/retry_delay_ms.sql"]);
    let delay: i64 =
        sqlx::query_scalar("select tasker.retry_delay_ms('fixed', 500, 1000, false, 1)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(delay, 500);
}

#[tokio::test]
async fn the_schema_of_a_newer_build_is_used_as_it_is_where_that_allows_it() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let database = db.database().await;
    run(
        &mut connection,
        "update tasker.schema_version set version = '999.0.0';
        insert into tasker.applied_files values ('migrations/9999_future.sql', 'some');
        update tasker.applied_files set checksum = 'that of a later text'
        where file = 'functions/engine/retry_delay_ms.sql'",
    )
    .await;

    let state = schema_state(&database).await.unwrap();
    assert!(state.is_usable(), "{state:?}");
    let migrated = migrate(&database).await.unwrap();

    assert!(!migrated.changed);
    assert_eq!(migrated.version.to_string(), "999.0.0");
    assert_eq!(schema_state(&database).await.unwrap(), state);
}

#[tokio::test]
async fn a_build_that_is_too_old_for_the_schema_says_which_can_use_it() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let database = db.database().await;
    run(
        &mut connection,
        "update tasker.schema_version set version = '999.1.0', oldest_build = '999.0.0'",
    )
    .await;

    let state = schema_state(&database).await.unwrap();
    let refused = refusal(&database).await;

    assert!(!state.is_usable());
    assert!(refused.contains("use tasker 999.0.0 or newer"), "{refused}");
}

#[tokio::test]
async fn a_session_that_holds_what_changes_is_waited_for_without_holding_up_others() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let database = db.database().await;
    let mut holder = db.connect().await;
    run(
        &mut connection,
        "update tasker.applied_files set checksum = 'that of an earlier text'
        where file = 'functions/announcements/notify_task_state_change.sql'",
    )
    .await;
    // A trigger is replaced under a lock that conflicts with everybody who writes.
    run(
        &mut holder,
        "begin; lock table tasker.task_transitions in row exclusive mode",
    )
    .await;
    let migration = {
        let database = database.clone();
        tokio::spawn(async move { migrate(&database).await })
    };
    let waits = "select count(*) > 0 from pg_stat_activity where datname = current_database()
      and wait_event_type = 'Lock'";
    let is_waiting = async |connection: &mut PgConnection| -> bool {
        sqlx::query_scalar(waits)
            .fetch_one(connection)
            .await
            .unwrap()
    };
    let mut observer = db.connect().await;
    wait_until("the migration waits", WAIT_TIMEOUT, async || {
        is_waiting(&mut observer).await
    })
    .await;
    // Who comes behind it gets in when it gives way.
    let mut writer = db.connect().await;
    run(
        &mut writer,
        "begin; lock table tasker.task_transitions in row exclusive mode; rollback",
    )
    .await;

    run(&mut holder, "rollback").await;

    assert!(migration.await.unwrap().unwrap().changed);
    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Current);
}

#[tokio::test]
async fn the_sql_of_a_dry_run_does_nothing_where_the_schema_has_changed_since() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let database = db.database().await;
    run(
        &mut connection,
        "update tasker.applied_files set checksum = 'that of an earlier text'
        where file = 'functions/engine/retry_delay_ms.sql'",
    )
    .await;
    let sql = pending_sql(&database).await.unwrap().unwrap();
    migrate(&database).await.unwrap();

    let ran = sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await;

    let refused = ran.unwrap_err().to_string();
    assert!(refused.contains("print it again"), "{refused}");
}

#[tokio::test]
async fn the_sql_of_a_dry_run_does_nothing_where_pgmq_is_missing() {
    let db = TestDatabase::empty().await;
    let database = db.database().await;
    let sql = pending_sql(&database).await.unwrap().unwrap();

    let ran = sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut db.connect().await)
        .await;

    let refused = ran.unwrap_err().to_string();
    assert!(refused.contains("install it first"), "{refused}");
    let state = schema_state(&database).await.unwrap();
    assert_eq!(state, SchemaState::Missing);
}

#[tokio::test]
async fn pgmq_is_installed_where_it_alone_is_missing() {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    run(&mut connection, "drop schema pgmq cascade").await;

    migrate(&db.database().await).await.unwrap();

    let there: bool = sqlx::query_scalar("select to_regclass('pgmq.meta') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(there);
}

#[tokio::test]
async fn the_sql_of_a_dry_run_makes_the_same_schema() {
    let (db, by_hand) = (TestDatabase::create().await, TestDatabase::empty().await);
    let database = by_hand.database().await;
    pgmq_notify::install(database.pool()).await.unwrap();

    let sql = pending_sql(&database).await.unwrap().unwrap();

    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Missing);
    let mut connection = by_hand.connect().await;
    run(&mut connection, sql).await;
    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Current);
    assert_eq!(pending_sql(&database).await.unwrap(), None);
    assert_eq!(by_hand.schema().await, db.schema().await);
}
