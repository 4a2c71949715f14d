//! Sessions that are at fault are given up, and those that are not are kept; nothing waits for a
//! server process that is frozen.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_testing::{
    Durability, FaultProxy, FrozenSession, TestDatabase, TestServer, WAIT_TIMEOUT, wait_for,
    wait_until,
};

/// A database reached by this URL, with one connection in its pool.
fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.into(),
        max_connections: 1,
        ..TaskerConfig::default().database
    }
}

async fn connect(url: &str) -> Database {
    Database::connect(&config(url)).await.unwrap()
}

async fn pid(connection: &mut PgConnection) -> Result<i32, Error> {
    let pid = sqlx::query_scalar("select pg_backend_pid()");
    Ok(pid.fetch_one(connection).await?)
}

async fn write(connection: &mut PgConnection) -> Result<(), Error> {
    let write = sqlx::query("update tasker.queue_settings set unlogged = unlogged");
    write.execute(connection).await?;
    Ok(())
}

async fn raise(connection: &mut PgConnection, sqlstate: &str) -> Result<(), Error> {
    let raise = format!("do $$ begin raise 'on purpose' using errcode = '{sqlstate}'; end $$");
    sqlx::raw_sql(AssertSqlSafe(raise))
        .execute(connection)
        .await?;
    Ok(())
}

async fn run(url: &str, sql: String) {
    let mut connection = <PgConnection as sqlx::Connection>::connect(url)
        .await
        .unwrap();
    for statement in ["set default_transaction_read_only = off".to_owned(), sql] {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        statement.execute(&mut connection).await.unwrap();
    }
}

/// Makes the sessions read-only that begin from this moment, or no longer.
async fn set_read_only(db: &TestDatabase, read_only: bool) {
    let name = db.name();
    let alter = format!("alter database {name} set default_transaction_read_only = '{read_only}'");
    run(db.url(), alter).await;
}

fn assert_read_only<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(error @ Error::Unavailable { .. }) => {
            assert!(error.is_read_only(), "{error}");
            assert!(
                error.to_string().contains("the server is read-only"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_unavailable_until_it_does() {
    let db = TestDatabase::create().await;
    let database = connect(db.url()).await;
    let mut dedicated = database.dedicated();
    set_read_only(&db, true).await;

    assert_read_only(Database::connect(&config(db.url())).await);
    // They are opened at their first call, and that one writes nothing.
    assert_read_only(dedicated.call("pid", pid).await);
    assert_read_only(database.call("pid", pid).await);
    assert_read_only(database.check_writable().await);

    set_read_only(&db, false).await;
    dedicated.call("write", write).await.unwrap();
    database.call("write", write).await.unwrap();
    database.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_session_that_began_read_only_is_not_kept() {
    let db = TestDatabase::create().await;
    let database = connect(db.url()).await;
    let mut dedicated = database.dedicated();
    let become_read_only = async |connection: &mut PgConnection| {
        let set = sqlx::raw_sql("set default_transaction_read_only = on");
        set.execute(connection).await?;
        Ok(())
    };
    dedicated.call("set", become_read_only).await.unwrap();
    database.call("set", become_read_only).await.unwrap();

    assert_read_only(dedicated.call("write", write).await);
    assert_read_only(database.call("write", write).await);

    dedicated.call("write", write).await.unwrap();
    database.call("write", write).await.unwrap();
}

/// What becomes of sessions on which a call fails with this SQLSTATE: whether they are kept.
async fn is_kept(database: &Database, dedicated: &mut DedicatedConnection, sqlstate: &str) -> bool {
    let raise = async |connection: &mut PgConnection| raise(connection, sqlstate).await;
    let own = dedicated.call("pid", pid).await.unwrap();
    let pooled = database.call("pid", pid).await.unwrap();
    dedicated.call("raise", raise).await.unwrap_err();
    database.call("raise", raise).await.unwrap_err();
    let own_is_kept = dedicated.call("pid", pid).await.unwrap() == own;
    let pooled_is_kept = database.call("pid", pid).await.unwrap() == pooled;
    assert_eq!(own_is_kept, pooled_is_kept, "{sqlstate}");
    own_is_kept
}

#[tokio::test]
async fn a_session_is_kept_after_an_error_about_what_was_asked_and_given_up_after_any_other() {
    let db = TestDatabase::create().await;
    let database = connect(db.url()).await;
    let mut dedicated = database.dedicated();
    for sqlstate in [
        "TK400", "TK404", "TK409", "55P03", "22003", "23505", "54000",
    ] {
        assert!(
            is_kept(&database, &mut dedicated, sqlstate).await,
            "{sqlstate}"
        );
    }
    for sqlstate in [
        "0A000", "25006", "25P02", "40001", "42501", "42P01", "53200", "57014", "58030", "P0001",
        "XX000",
    ] {
        assert!(
            !is_kept(&database, &mut dedicated, sqlstate).await,
            "{sqlstate}"
        );
    }
}

async fn freeze(db: &TestDatabase, statement: &str) -> FrozenSession {
    let pool = db.pool();
    wait_for("the session is idle", WAIT_TIMEOUT, async || {
        FrozenSession::idle_after(&pool, statement).await
    })
    .await
}

#[tokio::test]
async fn a_frozen_session_costs_a_call_and_the_next_one_has_another() {
    let db = TestDatabase::create().await;
    let database = Database::connect(&DatabaseConfig {
        call_timeout: Duration::from_secs(1),
        ..config(db.url())
    })
    .await
    .unwrap();
    let mut dedicated = database.dedicated().strictly_within(Duration::from_secs(1));
    let mark = async |connection: &mut PgConnection| {
        let mark = sqlx::raw_sql("/* freeze me */ select 1");
        mark.execute(connection).await?;
        Ok(())
    };

    dedicated.call("mark", mark).await.unwrap();
    let frozen = freeze(&db, "freeze me").await;
    let began = Instant::now();
    let error = dedicated.call("mark", mark).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    dedicated.call("mark", mark).await.unwrap();
    drop((frozen, dedicated));

    // Of the pool, which holds a single one.
    let pool_mark = async |connection: &mut PgConnection| {
        let mark = sqlx::raw_sql("/* of the pool */ select 1");
        mark.execute(connection).await?;
        Ok(())
    };
    database.call("mark", pool_mark).await.unwrap();
    let frozen = freeze(&db, "of the pool").await;
    let error = database.call("mark", pool_mark).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    database.call("mark", pool_mark).await.unwrap();
    drop(frozen);
}

#[tokio::test]
async fn a_session_whose_commit_waits_for_a_standby_is_not_ended() {
    let server = TestServer::start(Durability::Disposable).await;
    let database = connect(server.url()).await;
    let mut dedicated = database.dedicated().strictly_within(Duration::from_secs(1));
    let mut other = database.dedicated();
    let waits = async |connection: &mut PgConnection| {
        let waits = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where wait_event = 'SyncRep' and datname = current_database()",
        );
        let waits: i64 = waits.fetch_one(connection).await?;
        Ok(waits)
    };
    await_standby(server.url(), "nobody").await;

    let error = wait_for("a commit waits for the standby", WAIT_TIMEOUT, async || {
        dedicated.call("write", write).await.err()
    })
    .await;
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    for _ in 0..2 {
        dedicated.call("pid", pid).await.unwrap();
        assert_eq!(other.call("waits", waits).await.unwrap(), 1);
    }

    await_standby(server.url(), "").await;
    wait_until("the commit is done", WAIT_TIMEOUT, async || {
        other.call("waits", waits).await.unwrap() == 0
    })
    .await;
}

/// Has commits wait for this standby.
async fn await_standby(url: &str, name: &str) {
    let alter = format!("alter system set synchronous_standby_names = '{name}'");
    run(url, alter).await;
    run(url, "select pg_reload_conf()".to_owned()).await;
}

#[tokio::test]
async fn postgresql_gives_a_statement_up_when_its_caller_does() {
    let db = TestDatabase::create().await;
    let database = connect(db.url()).await;
    let limit = async |connection: &mut PgConnection| {
        let limit = sqlx::query_scalar("show statement_timeout");
        let limit: String = limit.fetch_one(connection).await?;
        Ok(limit)
    };
    let mut within = database.dedicated().within(Duration::from_secs(7));
    assert_eq!(within.call("limit", limit).await.unwrap(), "7s");
    let mut longer = database.dedicated().within(Duration::from_hours(1));
    assert_eq!(longer.call("limit", limit).await.unwrap(), "1min");
}

#[tokio::test]
async fn a_password_that_is_refused_is_named_as_that_and_works_again_when_it_is_right() {
    let server = TestServer::with_passwords().await;
    let superuser = server.url().to_owned();
    let rotate = async |password: &str| {
        run(&superuser, format!("alter role app password '{password}'")).await;
        let terminate =
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
        run(&superuser, terminate.to_owned()).await;
    };
    run(
        &superuser,
        "create role app login password 'first'".to_owned(),
    )
    .await;
    let proxy = FaultProxy::to(&superuser).await;
    let url = proxy.url().replace("postgres@", "app:first@");
    let database = connect(&url).await;
    let mut dedicated = database.dedicated();
    dedicated.call("pid", pid).await.unwrap();
    database.call("pid", pid).await.unwrap();

    rotate("second").await;
    // The first call of each finds its session ended.
    let _ = dedicated.call("pid", pid).await;
    let _ = database.call("pid", pid).await;
    for error in [
        dedicated.call("pid", pid).await.unwrap_err(),
        database.call("pid", pid).await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error}");
        let text = error.to_string();
        assert!(text.contains("the password was refused (28P01)"), "{text}");
        assert!(!text.contains("first"), "{text}");
    }

    rotate("first").await;
    dedicated.call("pid", pid).await.unwrap();
    database.call("pid", pid).await.unwrap();
}
