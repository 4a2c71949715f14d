//! `tasker task retry`, `cancel` and `resolve` of all tasks that match.

use nix::sys::signal::Signal;
use serde_json::json;
use tasker_testing::{TaskerBinary, TestDatabase, WAIT_TIMEOUT, wait_until};

use crate::common::{LINEAR, apply, submit, tasker_on};

/// A database with three tasks that are not claimed yet.
async fn with_tasks() -> TestDatabase {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    for _ in 0..3 {
        submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    }
    db
}

const CANCEL: [&str; 6] = [
    "task",
    "cancel",
    "--namespace",
    "shop",
    "--state",
    "pending",
];

async fn pending(db: &TestDatabase) -> usize {
    let args = ["task", "list", "--state", "pending", "--json"];
    let listed = tasker_on(db.url(), &args).await.ok().json();
    listed["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn tasks_are_counted_and_nothing_is_done_before_a_person_agrees() {
    let db = with_tasks().await;
    let counted = tasker_on(db.url(), &[&CANCEL[..], &["--dry-run"]].concat())
        .await
        .ok();
    assert_eq!(counted.stdout, "3 tasks would be cancelled\n");
    let counted = tasker_on(db.url(), &[&CANCEL[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!(
        counted.ok().json(),
        json!({"matches": 3, "has_more": false})
    );
    let unasked = tasker_on(db.url(), &CANCEL).await;
    unasked.refused(
        1,
        &[
            "3 tasks will be cancelled, and standard input is no",
            "--yes",
        ],
    );
    assert_eq!(pending(&db).await, 3);
}

#[tokio::test]
async fn tasks_are_cancelled_as_one_act_with_its_reason() {
    let db = with_tasks().await;
    let args = [&CANCEL[..], &["--yes", "--reason", "sold out"]].concat();
    let done = tasker_on(db.url(), &args).await.ok();
    assert!(done.stdout.starts_with("3 tasks cancelled ("), "{done:#?}");
    assert_eq!(pending(&db).await, 0);

    let again = tasker_on(db.url(), &[&CANCEL[..], &["--yes"]].concat())
        .await
        .ok();
    assert_eq!(again.stdout, "no tasks match\n");
    tasker_on(db.url(), &["doctor"]).await.ok();
}

#[tokio::test]
async fn either_a_task_or_options_say_what_is_meant() {
    let db = with_tasks().await;
    let nothing = tasker_on(db.url(), &["task", "retry"]).await;
    nothing.refused(2, &["say which task"]);
    let both = tasker_on(db.url(), &["task", "retry", "9f3ac21b", "--name", "x"]).await;
    both.refused(2, &["either a task, or options"]);
    let stateless = tasker_on(db.url(), &["task", "cancel", "--name", "linear", "--yes"]).await;
    stateless.refused(1, &["say which state the tasks are in"]);
}

/// Lets no batch end before the table `gate` has a row.
const GATE: &str = "
    create table gate ();
    create function wait_at_gate() returns trigger language plpgsql as $$
      begin
        while not exists (select from gate) loop
          perform pg_sleep(0.01);
        end loop;
        return new;
      end
    $$;
    create trigger waits_at_gate before update on tasker.tasks
      for each row execute function wait_at_gate()";

#[tokio::test]
async fn an_act_that_is_interrupted_ends_with_the_batch_in_hand() {
    let db = with_tasks().await;
    let pool = db.pool();
    let submit = "select tasker.submit_task('shop', 'linear', '{\"order_id\": 1}')
        from generate_series(1, 57)";
    sqlx::raw_sql(submit).execute(&pool).await.unwrap();
    sqlx::raw_sql(GATE).execute(&pool).await.unwrap();
    let args = [&CANCEL[..], &["--yes"]].concat();
    let mut act = TaskerBinary::locate().spawn(&args, &[("DATABASE_URL", db.url())]);
    wait_until("a batch is in hand", WAIT_TIMEOUT, async || {
        let waits = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event = 'PgSleep')";
        sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap()
    })
    .await;

    act.signal(Signal::SIGINT);
    act.wait_for_line("stopping after the batch", WAIT_TIMEOUT)
        .await;
    sqlx::raw_sql("insert into gate default values")
        .execute(&pool)
        .await
        .unwrap();

    assert_eq!(act.wait(WAIT_TIMEOUT).await.code(), Some(1));
    assert!(act.output().contains("50 tasks cancelled ("), "{act:?}");
    assert_eq!(pending(&db).await, 10);
    let stopped: bool = sqlx::query_scalar("select stopped and done = 50 from tasker.bulk_acts")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(stopped);
}
