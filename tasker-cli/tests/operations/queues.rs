//! `tasker queue` and `tasker processes`: what waits, and for whom.

use serde_json::json;
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn queues_are_listed() {
    let db = TestDatabase::create().await;
    let none = tasker_on(db.url(), &["queue", "list"]).await.ok();
    assert!(none.stdout.starts_with("no queues"), "{none:#?}");
    apply(db.url(), LINEAR).await;
    let listed = tasker_on(db.url(), &["queue", "list", "--json"])
        .await
        .ok()
        .json();
    assert_eq!(listed["queues"][0]["queue_name"], "worker_shop_queue");
}

/// A step that every worker can run, and one that none can.
const LATE: &str = "\
namespace: shop
name: late
version: 1.0.0
steps:
  - { name: early, handler: builtin.noop }
  - { name: late, handler: late.one }
";

#[tokio::test]
async fn steps_that_nobody_can_run_are_told_of_in_every_list_and_fail_no_check() {
    let db = TestDatabase::create().await;
    apply(db.url(), LATE).await;
    let task = submit(db.url(), "shop/late", "{}").await;
    sqlx::raw_sql(
        "select tasker.claim_ready_tasks('test', 10);
         select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 7, '0', 'Hybrid',
           '{}', '{builtin.noop}', 10, 3, 0)",
    )
    .execute(&db.pool())
    .await
    .unwrap();

    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    let note = "no worker knows the handler 'late.one'";
    let lines = shown.stdout.lines().filter(|line| line.contains(note));
    assert_eq!(lines.count(), 1, "{shown:#?}");
    let listed = tasker_on(db.url(), &["task", "list"]).await.ok();
    assert!(
        listed.stdout.contains("in_progress, no worker"),
        "{listed:#?}"
    );

    let queues = tasker_on(db.url(), &["queue", "list"]).await.ok();
    let expected = "shop: no worker knows the handler 'late.one', 1 step waits for it";
    assert!(queues.stdout.contains(expected), "{queues:#?}");
    assert!(queues.stdout.contains("3/10"), "{queues:#?}");

    let doctor = tasker_on(db.url(), &["doctor"]).await.ok();
    assert!(doctor.stdout.contains("warning: no live worker"));
    assert!(doctor.stdout.contains("the database is healthy"));
    let doctor = tasker_on(db.url(), &["doctor", "--json"]).await.ok().json();
    assert_eq!(doctor["healthy"], true);
    assert_eq!(doctor["findings"], json!([]));
    let warning = &doctor["warnings"][0];
    assert_eq!(warning["check"], "a_worker_knows_every_handler");
    assert_eq!(warning["handler"], "late.one");
    assert_eq!(warning["steps"], 1);
}

#[tokio::test]
async fn processes_are_listed_and_those_not_seen_are_silent() {
    let db = TestDatabase::create().await;
    let none = tasker_on(db.url(), &["processes"]).await.ok();
    assert!(none.stdout.starts_with("no processes"), "{none:#?}");
    sqlx::raw_sql(
        "select tasker.register_process(gen_random_uuid(), name, role, 'h', 7, '0', 'Hybrid',
           '{shop}', '{late.one}', n, n - 1, 0)
         from (values ('worker-1', 'worker', 2), ('o-1', 'orchestrator', null)) r(name, role, n);
         update tasker.processes set last_seen_at = now() - interval '40 s'
         where role = 'worker'",
    )
    .execute(&db.pool())
    .await
    .unwrap();

    let listed = tasker_on(db.url(), &["processes"]).await.ok();
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{listed:#?}");
    assert!(lines[1].starts_with("orchestrator"), "{listed:#?}");
    assert!(lines[2].contains("1/2") && lines[2].contains("silent 4"));
    let listed = tasker_on(db.url(), &["processes", "--json"]).await.ok();
    let worker = &listed.json()["processes"][1];
    assert_eq!(worker["silent"], true);
    assert_eq!(worker["handlers"], json!(["late.one"]));
}
