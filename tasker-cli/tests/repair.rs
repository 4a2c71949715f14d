//! `tasker doctor --repair`: what it puts right, and what it leaves alone.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too, of which others use the rest"
)]

mod common;

use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn wrong_counters_are_put_right_and_what_cannot_move_is_ended() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let stuck = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    submit(db.url(), "shop/linear", r#"{"order_id": 2}"#).await;
    let pool = db.pool();
    for statement in [
        // Every step was dealt with by hand, and nobody told the task.
        format!(
            "update tasker.steps set state = 'skipped', waiting_on = 0, finished_at = now() \
             where task_uuid = '{stuck}'"
        ),
        format!("delete from tasker.ready_steps where task_uuid = '{stuck}'"),
        format!(
            "insert into tasker.step_transitions \
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
