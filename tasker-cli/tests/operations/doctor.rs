//! `tasker doctor` and what it checks.

use tasker_shared::doctor::CHECKS;
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn the_doctor_fails_and_names_what_it_finds() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    tasker_on(db.url(), &["doctor"]).await.ok();
    sqlx::query("update tasker.steps set waiting_on = 7 where step_no = 2")
        .execute(&db.pool())
        .await
        .unwrap();

    let answer = tasker_on(db.url(), &["doctor", "--json"]).await;
    assert_eq!(answer.status, Some(1), "{answer:#?}");
    let findings = answer.json()["findings"].clone();
    let finding = &findings[0];
    assert_eq!(finding["check"], "waiting_on_counts_unsatisfied_parents");
    assert_eq!(finding["task_uuid"], task.as_str());
    assert_eq!(finding["step_name"], "second");

    let answer = tasker_on(db.url(), &["doctor"]).await;
    assert_eq!(answer.status, Some(1), "{answer:#?}");
    assert!(
        answer
            .stdout
            .contains("waiting_on_counts_unsatisfied_parents: 1 finding")
    );
    assert!(answer.stdout.contains("no_task_is_stuck: holds"));
}

#[tokio::test]
async fn the_doctor_says_exactly_what_it_checks() {
    let db = TestDatabase::create().await;
    let source: String = sqlx::query_scalar(
        "select prosrc from pg_proc where oid = 'tasker.findings()'::regprocedure",
    )
    .fetch_one(&db.pool())
    .await
    .unwrap();
    let mut checks: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("select '"))
        .filter_map(|rest| rest.split_once('\''))
        .map(|(check, _)| check)
        .collect();
    checks.dedup();
    assert_eq!(checks, CHECKS);
}
