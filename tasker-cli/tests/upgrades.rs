//! A database that a release left with work in every state: upgraded by a person, its work ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use serde_json::Value;
use tasker_testing::{TaskerBinary, TestDatabase, WAIT_TIMEOUT, releases, wait_until};

use crate::common::tasker_on;

/// What each task of a dump comes to, by its idempotency key; the others are complete in the end.
const NOT_COMPLETE: [(&str, &str); 5] = [
    ("cancelled", "cancelled"),
    ("cancelled_in_progress", "cancelled"),
    ("error", "error"),
    ("failed_in_part", "error"),
    ("resolved_manually", "resolved_manually"),
];

#[tokio::test]
async fn what_a_release_left_undone_is_done_after_an_upgrade() {
    for release in releases() {
        let db = TestDatabase::empty().await;
        db.run_file(&release.dump).await;
        let before = tasker_on(db.url(), &["migrate", "--dry-run"]).await.ok();
        tasker_on(db.url(), &["migrate"]).await.ok();
        let after = tasker_on(db.url(), &["migrate", "--dry-run"]).await.ok();
        assert_eq!(after.stdout, "-- the schema is up to date\n");
        assert!(before.stdout.starts_with("begin") || before.stdout == after.stdout);

        let binary = TaskerBinary::locate();
        let environment = [("DATABASE_URL", db.url())];
        let mut roles = [
            binary.spawn(&["orchestrator", "--bind", "127.0.0.1:0"], &environment),
            binary.spawn(&["worker"], &environment),
        ];
        let pool = db.pool();
        let open = "select count(*) from tasker.steps s join tasker.tasks t using (task_uuid)
          where t.state in ('pending', 'in_progress') or s.state = 'in_progress'";
        wait_until("the work of the dump ends", WAIT_TIMEOUT, async || {
            for role in &mut roles {
                assert!(role.exited().is_none(), "{}", role.output());
            }
            let open = sqlx::query_scalar(open).fetch_one(&pool);
            open.await.is_ok_and(|count: i64| count == 0)
        })
        .await;

        let tasks = "select idempotency_key, state::text from tasker.tasks order by 1";
        let tasks: Vec<(String, String)> = sqlx::query_as(tasks).fetch_all(&pool).await.unwrap();
        assert!(tasks.len() > NOT_COMPLETE.len(), "{tasks:?}");
        for (key, state) in tasks {
            let other = NOT_COMPLETE.iter().find(|(it, _)| *it == key);
            let expected = other.map_or("complete", |(_, state)| state);
            assert_eq!(state, expected, "{key} of {}", release.version);
        }
        let doctor = tasker_on(db.url(), &["doctor", "--json"]).await.ok().json();
        assert_eq!(doctor["healthy"], Value::Bool(true), "{doctor}");
    }
}
