//! `tasker doctor --repair`: what it puts right, and what it leaves alone.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too, of which others use the rest"
)]

mod common;

use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn wrong_counters_are_put_right_and_what_cannot_move_is_ended() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let stuck = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    submit(db.url(), "shop/linear", r#"{"order_id": 2}"#).await;
    let pool = db.pool();
    for statement in [
        // Every step was dealt with by hand, and the task was not updated.
        format!(
            "update tasker.steps set state = 'skipped', waiting_on = 0, finished_at = now() \
             where task_uuid = '{stuck}'"
        ),
        format!("delete from tasker.ready_steps where task_uuid = '{stuck}'"),
        format!(
            "insert into tasker.step_log \
               (task_uuid, at, step_no, attempt, from_state, to_state) \
             select task_uuid, now(), step_no, 0, 'pending', 'skipped' from tasker.steps \
             where task_uuid = '{stuck}'"
        ),
        "update tasker.tasks set active_steps = active_steps + 1".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&pool)
            .await
            .unwrap();
    }
    let sick = tasker_on(db.url(), &["doctor"]).await;
    assert_eq!(sick.status, Some(1), "{}", sick.stdout);

    let repaired = tasker_on(db.url(), &["doctor", "--repair"]).await.ok();

    assert!(
        repaired.stdout.contains("2 tasks put right"),
        "{}",
        repaired.stdout
    );
    let task = tasker_on(db.url(), &["task", "show", &stuck, "--json"])
        .await
        .ok();
    assert_eq!(task.json()["state"], "complete");
    let again = tasker_on(db.url(), &["doctor", "--repair"]).await.ok();
    assert!(
        again.stdout.contains("0 tasks put right"),
        "{}",
        again.stdout
    );
}

#[tokio::test]
async fn a_lost_queue_is_named_and_made_again_with_its_messages() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    let pool = db.pool();
    for statement in [
        "select * from tasker.claim_ready_tasks('o', 10)",
        "drop table pgmq.q_worker_shop_queue",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }

    let sick = tasker_on(db.url(), &["doctor"]).await;
    assert_eq!(sick.status, Some(1), "{}", sick.stdout);
    assert!(
        sick.stdout.contains("every_queue_can_be_used: 1 finding"),
        "{}",
        sick.stdout
    );
    assert!(sick.stdout.contains("worker_shop_queue"), "{}", sick.stdout);
    let repaired = tasker_on(db.url(), &["doctor", "--repair"]).await.ok();

    assert!(
        repaired.stdout.contains("the queue of shop was made again"),
        "{}",
        repaired.stdout
    );
    let messages: i64 = sqlx::query_scalar("select count(*) from pgmq.q_worker_shop_queue")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(messages, 1);
}

#[tokio::test]
async fn a_session_that_holds_a_task_is_named_as_a_warning() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    let pool = db.pool();
    let mut open = pool.begin().await.unwrap();
    let pid: i32 =
        sqlx::query_scalar("select pg_backend_pid() from tasker.cancel_task($1::text::uuid, 'me')")
            .bind(&task)
            .fetch_one(&mut *open)
            .await
            .unwrap();

    let named = format!("session {pid} of user");
    wait_until("the session is named", WAIT_TIMEOUT, async || {
        let told = tasker_on(db.url(), &["doctor"]).await.ok();
        told.stdout.contains(&named) && told.stdout.contains(&task)
    })
    .await;
    open.rollback().await.unwrap();

    let told = tasker_on(db.url(), &["doctor"]).await.ok();
    assert!(!told.stdout.contains(&named), "{}", told.stdout);
}
