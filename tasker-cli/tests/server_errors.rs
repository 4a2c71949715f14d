//! What commands say when PostgreSQL refuses: what happened and what to do, once.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::fs;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tasker_testing::{Durability, TestDatabase, TestServer};

use crate::common::{Answer, LINEAR, apply, file, tasker_on};

/// Runs statements as the superuser.
async fn execute(url: &str, sql: impl Into<String>) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql.into())))
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// The address with another account.
fn as_user(url: &str, user: &str) -> String {
    let (before, rest) = url.split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap();
    format!("{before}://{user}@{rest}")
}

/// Says that the command failed with these texts, one hint and nothing about bugs or source lines.
#[track_caller]
fn assert_told(answer: &Answer, texts: &[&str]) {
    answer.refused(1, texts);
    assert_eq!(answer.stderr.matches("hint: ").count(), 1, "{answer:#?}");
    for never in ["bug", "at line", "error returned from database", "SQLSTATE"] {
        assert!(!answer.stderr.contains(never), "{never:?}: {answer:#?}");
    }
}

#[tokio::test]
async fn an_account_without_privileges_is_told_what_it_lacks() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let role = format!("{}_stranger", db.name());
    execute(db.url(), format!("create role {role} login")).await;
    let stranger = as_user(db.url(), &role);
    for args in [
        &["task", "list"][..],
        &["task", "submit", "shop/linear"],
        &["template", "list"],
        &["queue", "list"],
        &["doctor"],
        &["orchestrator", "--bind", "127.0.0.1:0"],
    ] {
        let answer = tasker_on(&stranger, args).await;
        assert_told(
            &answer,
            &["lacks a privilege: permission denied for", "give it usage"],
        );
    }

    let empty = TestDatabase::empty().await;
    let answer = tasker_on(&as_user(empty.url(), &role), &["migrate"]).await;
    assert_told(
        &answer,
        &["permission denied for database", "grant connect, create on"],
    );
    execute(db.url(), format!("drop role {role}")).await;
}

#[tokio::test]
async fn a_database_or_an_account_that_is_not_there_is_told() {
    let db = TestDatabase::empty().await;
    let elsewhere = db.url().replace(db.name(), "no_such_database");
    let answer = tasker_on(&elsewhere, &["task", "list"]).await;
    assert_told(
        &answer,
        &["\"no_such_database\" does not exist", "createdb"],
    );

    let nobody = as_user(db.url(), "no_such_role");
    let answer = tasker_on(&nobody, &["doctor"]).await;
    assert_told(&answer, &["\"no_such_role\" does not exist", "createuser"]);
}

#[tokio::test]
async fn a_database_that_is_read_only_is_told() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let read_only = "set default_transaction_read_only = on";
    execute(
        db.url(),
        format!("alter database {} {read_only}", db.name()),
    )
    .await;
    let template = file(&LINEAR.replace("linear", "other"), ".yaml");
    let template = template.path().to_str().unwrap();
    let context = ["--context", "{\"order_id\": 1}"];
    for args in [
        &["task", "submit", "shop/linear", context[0], context[1]][..],
        &["template", "apply", template],
    ] {
        let answer = tasker_on(db.url(), args).await;
        assert_told(&answer, &["the server is read-only", "the primary"]);
    }
}

#[tokio::test]
async fn a_limit_of_connections_is_told() {
    let db = TestDatabase::create().await;
    let role = format!("{}_crowd", db.name());
    execute(
        db.url(),
        format!("create role {role} login connection limit 0"),
    )
    .await;
    let answer = tasker_on(&as_user(db.url(), &role), &["task", "list"]).await;
    assert_told(
        &answer,
        &[
            "no connection left: too many connections",
            "max_connections",
        ],
    );
    execute(db.url(), format!("drop role {role}")).await;
}

#[tokio::test]
async fn what_the_server_lacks_is_told() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    for (code, expected) in [
        ("53100", "the disk of the server is full"),
        ("53200", "ran out of memory"),
        ("58030", "could not read or write its files"),
        ("57014", "cancelled the statement"),
    ] {
        execute(
            db.url(),
            format!(
                "create or replace function tasker.refuse() returns trigger language plpgsql as $$
                 begin raise exception using errcode = '{code}', message = 'no room'; end $$;
                 create or replace trigger refuse before insert on tasker.tasks
                 for each row execute function tasker.refuse()"
            ),
        )
        .await;
        let args = [
            "task",
            "submit",
            "shop/linear",
            "--context",
            "{\"order_id\": 1}",
        ];
        let answer = tasker_on(db.url(), &args).await;
        assert_told(&answer, &[expected, "no room"]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_by_commands_and_by_the_logs_of_roles() {
    let server = TestServer::start(Durability::Disposable).await;
    execute(
        server.url(),
        "set password_encryption = 'scram-sha-256'; create role app login password 'right'",
    )
    .await;
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let hba: String = sqlx::query_scalar("show hba_file")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let rules = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, format!("local all app scram-sha-256\n{rules}")).unwrap();
    execute(server.url(), "select pg_reload_conf()").await;

    let wrong = as_user(server.url(), "app:secret");
    let told = [
        "the password was refused (28P01): password authentication failed for user \"app\"",
        "mend user or password",
    ];
    assert_told(&tasker_on(&wrong, &["task", "list"]).await, &told);

    let binary = tasker_testing::TaskerBinary::locate();
    let args = ["worker", "--bind", "127.0.0.1:0"];
    let mut worker = binary.spawn(&args, &[("DATABASE_URL", wrong.as_str())]);
    let line = worker
        .wait_for_line("waiting for the database", tasker_testing::WAIT_TIMEOUT)
        .await;
    assert!(line.contains("password was refused"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    worker.kill9();
}
