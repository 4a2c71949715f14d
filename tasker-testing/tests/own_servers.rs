//! The tools of the tests, tested.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tasker_testing::{Durability, FaultProxy, TestDatabase, TestServer, WAIT_TIMEOUT, wait_until};
use tokio::time::timeout;

/// Long enough for an answer on a busy machine, short enough to wait for one that never comes.
const NO_ANSWER: Duration = Duration::from_millis(300);

async fn one(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("select 1").fetch_one(connection).await
}

#[tokio::test]
async fn two_test_databases_know_nothing_of_each_other() {
    let (first, second) = (TestDatabase::create().await, TestDatabase::create().await);
    assert_ne!(first.name(), second.name());
    sqlx::query("create table mark (id int)")
        .execute(&first.pool())
        .await
        .unwrap();
    sqlx::query("select from tasker.tasks")
        .execute(&second.pool())
        .await
        .unwrap();
    let missing = sqlx::query("select from mark")
        .execute(&mut second.connect().await)
        .await;
    missing.unwrap_err();
}

#[tokio::test]
async fn a_dropped_test_database_goes_away_even_with_a_session_in_it() {
    let watcher = TestDatabase::empty().await;
    let doomed = TestDatabase::empty().await;
    let _open = doomed.connect().await;
    let name = doomed.name().to_owned();
    drop(doomed);
    let pool = watcher.pool();
    wait_until("the database is dropped", WAIT_TIMEOUT, async || {
        let exists =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
        !exists.bind(&name).fetch_one(&pool).await.unwrap_or(true)
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_keeps_what_it_acknowledged() {
    let server = TestServer::start(Durability::Disposable).await;
    let mut before = PgConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("create table fact (id int); insert into fact values (7)")
        .execute(&mut before)
        .await
        .unwrap();
    server.kill().await;
    one(&mut before).await.unwrap_err();
    server.restart().await;
    let mut after = PgConnection::connect(server.url()).await.unwrap();
    let fact: i32 = sqlx::query_scalar("select id from fact")
        .fetch_one(&mut after)
        .await
        .unwrap();
    assert_eq!(fact, 7);
}

#[tokio::test]
async fn a_cut_resets_connections_and_refuses_new_ones_until_resumed() {
    let db = TestDatabase::empty().await;
    let proxy = FaultProxy::to(db.url()).await;
    let mut open = PgConnection::connect(proxy.url()).await.unwrap();
    assert_eq!(one(&mut open).await.unwrap(), 1);
    proxy.cut();
    one(&mut open).await.unwrap_err();
    PgConnection::connect(proxy.url()).await.unwrap_err();
    proxy.resume();
    let mut again = PgConnection::connect(proxy.url()).await.unwrap();
    assert_eq!(one(&mut again).await.unwrap(), 1);
}

#[tokio::test]
async fn a_reset_breaks_open_connections_only() {
    let db = TestDatabase::empty().await;
    let proxy = FaultProxy::to(db.url()).await;
    let mut open = PgConnection::connect(proxy.url()).await.unwrap();
    proxy.reset();
    one(&mut open).await.unwrap_err();
    PgConnection::connect(proxy.url()).await.unwrap();
}

#[tokio::test]
async fn a_connection_in_a_black_hole_stays_dead_and_new_ones_live_after_it() {
    let db = TestDatabase::empty().await;
    let proxy = FaultProxy::to(db.url()).await;
    let mut open = PgConnection::connect(proxy.url()).await.unwrap();
    proxy.blackhole();
    timeout(NO_ANSWER, one(&mut open)).await.unwrap_err();
    timeout(NO_ANSWER, PgConnection::connect(proxy.url()))
        .await
        .unwrap_err();
    proxy.resume();
    let mut again = PgConnection::connect(proxy.url()).await.unwrap();
    assert_eq!(one(&mut again).await.unwrap(), 1);
    timeout(NO_ANSWER, open.ping()).await.unwrap_err();
}

#[tokio::test]
async fn a_statement_whose_answer_is_swallowed_has_its_effect() {
    let db = TestDatabase::empty().await;
    let mut direct = db.connect().await;
    sqlx::query("create table fact (id int)")
        .execute(&mut direct)
        .await
        .unwrap();
    let proxy = FaultProxy::to(db.url()).await;
    let mut open = PgConnection::connect(proxy.url()).await.unwrap();
    proxy.swallow_answers();
    let insert = sqlx::raw_sql("insert into fact values (1)").execute(&mut open);
    timeout(NO_ANSWER, insert).await.unwrap_err();
    wait_until("the fact is there", WAIT_TIMEOUT, async || {
        let count = sqlx::query_scalar("select count(*) from fact")
            .fetch_one(&mut direct)
            .await;
        count.is_ok_and(|count: i64| count == 1)
    })
    .await;
}
