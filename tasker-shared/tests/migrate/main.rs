//! Bringing databases to the schema: once, again, at once, without privileges, and over what should
//! not be there.

#![allow(clippy::unwrap_used)]

mod other_builds;
#[path = "../support/mod.rs"]
mod support;

use std::str::FromStr;

use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use support::{SINGLE, World};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::error::Error;
use tasker_shared::schema::{SchemaState, migrate, schema_state};
use tasker_shared::state::TaskState;
use tasker_testing::TestDatabase;

async fn run(connection: &mut PgConnection, sql: impl Into<String>) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.into()));
    connection.execute(sql).await.unwrap();
}

/// The refusal of a database that cannot be migrated.
async fn refusal(database: &Database) -> String {
    match migrate(database).await {
        Err(Error::Schema(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn an_empty_database_is_migrated_and_a_second_time_changes_nothing() {
    let db = TestDatabase::empty().await;
    let database = db.database().await;
    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Missing);

    migrate(&database).await.unwrap();
    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Current);
    let mut connection = db.connect().await;
    let applied = "select array_agg(f::text order by file) from tasker.applied_files f";
    let before: Vec<String> = sqlx::query_scalar(applied)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    migrate(&database).await.unwrap();

    let after: Vec<String> = sqlx::query_scalar(applied)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!before.is_empty());
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_migrate_an_empty_database() {
    let db = TestDatabase::empty().await;
    let databases = join_all((0..8).map(|_| db.database())).await;

    let migrations = databases.iter().map(|database| {
        let database = database.clone();
        tokio::spawn(async move { migrate(&database).await })
    });
    for migrated in join_all(migrations).await {
        migrated.unwrap().unwrap();
    }

    assert_eq!(
        schema_state(&databases[0]).await.unwrap(),
        SchemaState::Current
    );
    let mut world = World {
        connection: db.connect().await,
        db,
    };
    world.template("t", SINGLE).await;
    world.submit("t").await;
    assert_eq!(world.run_all().await, ["only"]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_owner_of_a_database_needs_no_other_privilege() {
    let db = TestDatabase::empty().await;
    let mut admin = db.connect().await;
    let (name, owner) = (db.name(), format!("{}_owner", db.name()));
    run(
        &mut admin,
        format!(
            "create role {owner} login nosuperuser nocreatedb nocreaterole password 'secret';
            alter database {name} owner to {owner}"
        ),
    )
    .await;
    let url = PgConnectOptions::from_str(db.url())
        .unwrap()
        .username(&owner)
        .password("secret")
        .to_url_lossy();
    let config = DatabaseConfig {
        url: url.as_str().into(),
        ..TaskerConfig::default().database
    };
    let database = Database::connect(&config).await.unwrap();

    migrate(&database).await.unwrap();
    migrate(&database).await.unwrap();

    let privileged: bool =
        sqlx::query_scalar("select rolsuper from pg_roles where rolname = current_user")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert!(!privileged);
    let connection = database.pool().acquire().await.unwrap().detach();
    let mut world = World { db, connection };
    world.template("t", SINGLE).await;
    let task = world.submit("t").await;
    world.run_all().await;
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;

    let World { db, connection } = world;
    drop(connection);
    database.pool().close().await;
    run(
        &mut admin,
        format!(
            "alter database {} owner to current_user; drop owned by {owner} cascade;
            drop role {owner}",
            db.name()
        ),
    )
    .await;
}

#[tokio::test]
async fn a_schema_named_pgmq_of_another_origin_is_refused_and_left_alone() {
    let db = TestDatabase::empty().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "create schema pgmq; create table pgmq.mine (n int)",
    )
    .await;

    let refused = refusal(&db.database().await).await;

    assert!(refused.contains("schema named pgmq"), "{refused}");
    assert!(refused.contains("rename it"), "{refused}");
    let tables: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
        where nspname in ('pgmq', 'tasker')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_it_and_goes_on_later() {
    let db = TestDatabase::empty().await;
    let database = db.database().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "create schema tasker; create table tasker.timers (n int)",
    )
    .await;

    let refused = refusal(&database).await;

    assert!(
        refused.contains("migrations/0004_steps.sql failed"),
        "{refused}"
    );
    assert!(refused.contains("timers"), "{refused}");
    let half_done: bool = sqlx::query_scalar("select to_regclass('tasker.tasks') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!half_done, "the table that came before it was rolled back");
    run(&mut connection, "drop table tasker.timers").await;
    migrate(&database).await.unwrap();
    assert_eq!(schema_state(&database).await.unwrap(), SchemaState::Current);
}

#[tokio::test]
async fn what_is_in_the_database_survives_and_goes_on() {
    let mut world = World::new().await;
    world
        .template("t", &[("first", &[]), ("second", &["first"])])
        .await;
    let task = world.submit("t").await;
    let running = world.start_one().await;

    migrate(&world.db.database().await).await.unwrap();

    world.report(&[support::complete(&running)]).await;
    assert_eq!(world.run_all().await, ["second"]);
    assert_eq!(world.task_state(task).await, TaskState::Complete);
    world.assert_healthy().await;
}

#[tokio::test]
async fn migrations_of_the_host_application_are_none_of_ours() {
    let db = TestDatabase::empty().await;
    let mut connection = db.connect().await;
    run(
        &mut connection,
        "create table public._sqlx_migrations (
          version bigint primary key, description text not null,
          installed_on timestamptz not null default now(), success boolean not null,
          checksum bytea not null, execution_time bigint not null
        );
        insert into public._sqlx_migrations values (1, 'theirs', now(), true, '\\x01', 1)",
    )
    .await;

    migrate(&db.database().await).await.unwrap();

    let theirs: i64 = sqlx::query_scalar("select count(*) from public._sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(theirs, 1);
}

#[tokio::test]
async fn a_database_without_the_schema_says_how_to_get_it() {
    let db = TestDatabase::empty().await;
    let mut connection = db.connect().await;

    let missing = tasker_shared::readiness::claim_ready_tasks(&mut connection, "o", 1).await;

    match missing {
        Err(Error::Schema(text)) => assert!(text.contains("tasker migrate"), "{text}"),
        other => panic!("expected an error of the schema, got {other:?}"),
    }
}
