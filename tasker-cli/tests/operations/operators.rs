//! What operators decide about tasks and steps.

use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn an_operator_settles_steps_and_the_task_shows_it() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let args = ["step", "skip", &task, "first", "--reason", "not today"];
    let skipped = tasker_on(db.url(), &args).await.ok();
    assert!(
        skipped.stdout.starts_with("step first is skipped"),
        "{skipped:#?}"
    );
    let args = [
        "step", "resolve", &task, "second", "--result", "[1]", "--json",
    ];
    let resolved = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(resolved["step_state"], "resolved_manually");
    assert_eq!(resolved["task_state"], "complete");

    let shown = tasker_on(db.url(), &["task", "show", &task, "--ascii"])
        .await
        .ok();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(
        lines[2..4],
        ["s first   skipped", "m second  resolved_manually"],
        "{shown:#?}"
    );

    let args = ["task", "show", &task, "--history", "--json"];
    let history = tasker_on(db.url(), &args).await.ok().json();
    let moves = history["history"].as_array().unwrap();
    let skip = moves
        .iter()
        .find(|one| one["to_state"] == "skipped")
        .unwrap();
    assert_eq!(skip["reason"], "not today");
    assert!(skip["actor"].as_str().unwrap().starts_with("operator:"));

    tasker_on(db.url(), &["doctor"]).await.ok();
}

#[tokio::test]
async fn a_move_that_the_state_forbids_is_refused() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    for args in [
        &["step", "retry", &task, "first"][..],
        &["task", "resolve", &task],
    ] {
        tasker_on(db.url(), args).await.refused(1, &["pending"]);
    }
    let args = ["task", "cancel", &task, "--reason", "enough"];
    tasker_on(db.url(), &args).await.ok();
    let args = ["step", "skip", &task, "first"];
    tasker_on(db.url(), &args).await.refused(1, &["cancelled"]);
    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    assert!(shown.stdout.contains("reason: enough"), "{shown:#?}");
}
