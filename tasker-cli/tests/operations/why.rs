//! `tasker why`.

use serde_json::json;
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn a_task_that_no_worker_serves_says_so_in_words_and_as_json() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;

    let words = tasker_on(db.url(), &["why", &task]).await.ok().stdout;
    assert_eq!(
        words,
        "first is pending\n  no orchestrator serves the namespace shop\n  \
         start an orchestrator that serves it: tasker orchestrator\n  second waits for it\n"
    );
    let of_step = tasker_on(db.url(), &["why", &task, "second"]).await.ok();
    assert_eq!(of_step.stdout, words);

    let whole = tasker_on(db.url(), &["why", &task, "--json"]).await.ok();
    let reasons = &whole.json()["reasons"];
    assert_eq!(reasons[0]["cause"], "no_orchestrator");
    assert_eq!(reasons[0]["evidence"]["namespace"], "shop");
    assert_eq!(reasons[1]["cause"], "waits_for_steps");
    assert_eq!(reasons[1]["root"], "first");
}

#[tokio::test]
async fn a_task_that_ended_waits_for_nothing() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let skip = tasker_on(db.url(), &["step", "skip", &task, "first"]).await;
    skip.ok();
    let ended = tasker_on(db.url(), &["why", &task, "first"]).await.ok();
    assert_eq!(ended.stdout, "nothing: first has ended\n");
    let cancel = tasker_on(db.url(), &["task", "cancel", &task]).await;
    cancel.ok();

    let ended = tasker_on(db.url(), &["why", &task]).await.ok();
    assert_eq!(ended.stdout, "nothing: the task is cancelled\n");
    let ended = tasker_on(db.url(), &["why", &task, "--json"]).await.ok();
    assert_eq!(ended.json()["reasons"], json!([]));
}

#[tokio::test]
async fn an_unknown_task_or_step_is_refused() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;

    let unknown = "01890a5d-ac96-774b-bcce-b302099a0000";
    let answer = tasker_on(db.url(), &["why", unknown]).await;
    answer.refused(1, &["there is no task 01890a5d"]);
    let answer = tasker_on(db.url(), &["why", &task, "third"]).await;
    answer.refused(1, &["has no step named third", "first, second"]);
}
