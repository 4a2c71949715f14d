//! `tasker prune`, `tasker task export` and `tasker backup-check`.

use serde_json::{Value, json};
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on, tasker_with};

/// Every task that ended more than a day ago leaves.
const A_DAY: (&str, &str) = ("TASKER__RETENTION__CANCELLED_DAYS", "1");

/// A database with a task that was cancelled two days ago, and one that was submitted then.
async fn two_days_later() -> (TestDatabase, String, String) {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let old = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    let open = submit(db.url(), "shop/linear", r#"{"order_id": 2}"#).await;
    tasker_on(db.url(), &["task", "cancel", &old]).await.ok();
    sqlx::raw_sql(
        "update tasker.tasks set finished_at = now() - interval '2 days' where state = 'cancelled'",
    )
    .execute(&db.pool())
    .await
    .unwrap();
    (db, old, open)
}

#[tokio::test]
async fn a_dry_run_names_what_the_run_then_deletes() {
    let (db, old, open) = two_days_later().await;
    let nothing = tasker_on(db.url(), &["prune"]).await.ok();
    assert!(nothing.stdout.contains("nothing is due"), "{nothing:?}");

    let told = tasker_with(db.url(), &["prune", "--dry-run", "--json"], &[A_DAY]).await;
    let told = told.ok().json();
    assert_eq!(told["tasks"], 1);
    let row = &told["prunable"][0];
    assert_eq!(
        (&row["namespace"], &row["outcome"]),
        (&json!("shop"), &json!("cancelled"))
    );
    assert!(told["estimated_bytes"].as_i64().unwrap() > 0);
    let told = tasker_with(db.url(), &["prune", "--dry-run"], &[A_DAY])
        .await
        .ok();
    assert!(told.stdout.contains("1 task, about "), "{told:?}");
    tasker_on(db.url(), &["task", "show", &old]).await.ok();

    let done = tasker_with(db.url(), &["prune", "--json"], &[A_DAY])
        .await
        .ok();
    assert_eq!(done.json()["tasks"], 1);
    tasker_on(db.url(), &["task", "show", &old])
        .await
        .refused(1, &["there is no task"]);
    tasker_on(db.url(), &["task", "show", &open]).await.ok();
    tasker_on(db.url(), &["doctor"]).await.ok();
}

#[tokio::test]
async fn a_task_is_exported_on_one_line_and_from_the_archive_once_it_is_gone() {
    let (db, old, open) = two_days_later().await;
    let before = tasker_on(db.url(), &["task", "export", &old]).await.ok();
    assert_eq!(before.stdout.lines().count(), 1);
    assert_eq!(before.json()["steps"][0]["name"], "first");
    let running = tasker_on(db.url(), &["task", "export", &open]).await.ok();
    assert_eq!(running.json()["state"], "pending");

    let archive = ("TASKER__RETENTION__ARCHIVE", "table");
    tasker_with(db.url(), &["prune"], &[A_DAY, archive])
        .await
        .ok();
    let after = tasker_on(db.url(), &["task", "export", &old]).await.ok();
    assert_eq!(after.json(), before.json());
    let nobody = "01890a5d-ac96-774b-bcce-b302099a0000";
    tasker_on(db.url(), &["task", "export", nobody])
        .await
        .refused(1, &["there is no task", "archive"]);
}

#[tokio::test]
async fn a_submission_that_waits_for_a_task_that_left_says_so() {
    let (db, ..) = two_days_later().await;
    let args = |more: &'static [&'static str]| {
        let submit = [
            "task",
            "submit",
            "shop/linear",
            "--context",
            "{\"order_id\": 3}",
        ];
        [&submit[..], &["--idempotency-key", "k"], more].concat()
    };
    let first = tasker_on(db.url(), &args(&["--json"])).await.ok().json();
    let task = first["task_uuid"].as_str().unwrap().to_owned();
    tasker_on(db.url(), &["task", "cancel", &task]).await.ok();
    sqlx::raw_sql(
        "update tasker.tasks set finished_at = now() - interval '2 days' where state = 'cancelled'",
    )
    .execute(&db.pool())
    .await
    .unwrap();
    let keys = ("TASKER__RETENTION__IDEMPOTENCY_KEY_DAYS", "30");
    tasker_with(db.url(), &["prune"], &[A_DAY, keys]).await.ok();

    let again = tasker_on(db.url(), &args(&["--json"])).await.ok().json();
    assert_eq!(
        (&again["task_uuid"], &again["created"]),
        (&json!(task), &json!(false))
    );
    tasker_on(db.url(), &args(&["--wait"]))
        .await
        .refused(1, &[&task, "its retention is over"]);
}

#[tokio::test]
async fn a_backup_check_tells_what_has_to_be_put_right_and_puts_it_right() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    let pool = db.pool();
    let claim = "select tasker.claim_ready_tasks('o', 10)";
    sqlx::raw_sql(claim).execute(&pool).await.unwrap();
    let sound = tasker_on(db.url(), &["backup-check"]).await.ok();
    assert!(sound.stdout.contains("the database is sound"), "{sound:?}");

    // As a restore of the tables without the queues and without what sequences had given.
    sqlx::raw_sql(
        "delete from pgmq.q_worker_shop_queue;
         select setval('pgmq.q_worker_shop_queue_msg_id_seq', 1, false);
         select setval('tasker.step_log_transition_no_seq', 1, false);
         select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 7, '0', 'Hybrid',
           '{}', '{builtin.noop}', 10, 3, 0);
         update tasker.processes set last_seen_at = now() - interval '1 day'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let told = tasker_on(db.url(), &["backup-check", "--json"]).await;
    assert_eq!(told.status, Some(1));
    let told = told.json();
    let found: Vec<_> = told["restored"].as_array().unwrap().iter().collect();
    let found: Vec<_> = found
        .iter()
        .map(|it| {
            (
                it["check"].as_str().unwrap(),
                it["is_wrong"].as_bool().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("queues_have_their_messages", true),
        ("numbers_are_ahead_of_rows", true),
        ("numbers_are_ahead_of_rows", true),
        ("processes_are_of_this_life", false),
    ];
    assert_eq!(found, expected, "{told:#}");

    let repaired = tasker_on(db.url(), &["backup-check", "--repair", "--json"])
        .await
        .ok();
    assert_eq!(repaired.json()["restored"], Value::Array(Vec::new()));
    let numbers: i64 = sqlx::query_scalar("select nextval('pgmq.q_worker_shop_queue_msg_id_seq')")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(
        numbers > 1_000_000_000,
        "{numbers}: others may have had the next ones"
    );
    tasker_on(db.url(), &["doctor"]).await.ok();
}
