//! `tasker task submit`, and what it refuses.

use tasker_testing::TestDatabase;
use uuid::Uuid;

use crate::common::{LINEAR, apply, file, tasker_on};

#[tokio::test]
async fn an_unknown_template_is_refused_with_the_one_that_is_meant() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    for args in [
        &["task", "submit", "shop/linaer"][..],
        &["template", "show", "shop/linaer"],
        &["task", "submit", "shpo/linear"],
    ] {
        let answer = tasker_on(db.url(), args).await;
        answer.refused(1, &["there is no template", "did you mean `shop/linear`?"]);
    }
    let answer = tasker_on(db.url(), &["task", "submit", "bank/transfer"]).await;
    answer.refused(1, &["hint: apply it with `tasker template apply FILE`"]);
}

#[tokio::test]
async fn a_context_that_its_schema_refuses_says_why() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let args = ["task", "submit", "shop/linear", "--context", "{}"];
    tasker_on(db.url(), &args).await.refused(1, &["order_id"]);
}

#[tokio::test]
async fn a_character_that_cannot_be_stored_is_no_bug_of_ours() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = r#"{"order_id": 1, "note": "\u0000"}"#;
    let args = ["task", "submit", "shop/linear", "--context", context];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(1, &["holds the character \\u0000", "hint: leave"]);
}

#[tokio::test]
async fn a_known_idempotency_key_gives_the_first_task() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = file("{\"order_id\": 1}", ".json");
    let context = format!("@{}", context.path().display());
    let args = [
        "task",
        "submit",
        "shop/linear@1.0.0",
        "--context",
        &context,
        "--idempotency-key",
        "k",
        "--priority",
        "-3",
        "--json",
    ];
    let first = tasker_on(db.url(), &args).await.ok().json();
    let second = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(first["created"], true);
    assert_eq!(second["created"], false);
    assert_eq!(first["task_uuid"], second["task_uuid"]);
}

#[tokio::test]
async fn waiting_ends_when_the_time_is_over() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let args = [
        "task",
        "submit",
        "shop/linear",
        "--context",
        "{\"order_id\": 1}",
        "--wait",
        "--wait-timeout",
        "0.01",
    ];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(
        1,
        &["within the time to wait", "pending", "tasker task show"],
    );
    assert!(Uuid::parse_str(answer.stdout.trim()).is_ok(), "{answer:#?}");
}
