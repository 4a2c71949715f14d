//! `tasker task list`, and how its tasks are named.

use tasker_testing::TestDatabase;
use uuid::Uuid;

use crate::common::{LINEAR, apply, submit, tasker_on};

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let db = TestDatabase::create().await;
    let nobody = Uuid::nil().to_string();
    for (args, text) in [
        (&["task", "show", &nobody][..], nobody.as_str()),
        (&["task", "show", &nobody, "--watch"], &nobody),
        (&["task", "cancel", &nobody], &nobody),
        (&["task", "resolve", &nobody], &nobody),
        (&["step", "retry", &nobody, "first"], "hint:"),
        (&["step", "skip", &nobody, "first"], "hint:"),
        (&["template", "show", "shop/order"], "shop/order"),
        (&["task", "submit", "shop/order"], "shop/order"),
    ] {
        tasker_on(db.url(), args).await.refused(1, &[text]);
    }
}

#[tokio::test]
async fn pages_of_tasks_follow_each_other() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let mut submitted = Vec::new();
    for _ in 0..3 {
        submitted.push(submit(db.url(), "shop/linear", "{\"order_id\": 1}").await);
    }
    let args = [
        "task",
        "list",
        "--namespace",
        "shop",
        "--limit",
        "2",
        "--json",
    ];
    let page = tasker_on(db.url(), &args).await.ok().json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let mut args = args.to_vec();
    args.extend(["--cursor", &cursor]);
    let rest = tasker_on(db.url(), &args).await.ok().json();
    assert!(rest["next_cursor"].is_null());
    let mut listed: Vec<String> = [&page, &rest]
        .iter()
        .flat_map(|page| page["tasks"].as_array().unwrap())
        .map(|task| task["task_uuid"].as_str().unwrap().to_owned())
        .collect();
    listed.reverse();
    assert_eq!(listed, submitted);

    let args = ["task", "list", "--state", "complete"];
    assert_eq!(tasker_on(db.url(), &args).await.ok().stdout, "no tasks\n");
}

#[tokio::test]
async fn a_task_is_named_by_the_digits_that_lists_show() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let other = submit(db.url(), "shop/linear", "{\"order_id\": 2}").await;
    let short = &task[24..32];
    let listed = tasker_on(db.url(), &["task", "list"]).await.ok();
    assert!(listed.stdout.contains(short), "{listed:#?}");

    let shown = tasker_on(db.url(), &["task", "show", short, "--json"]).await;
    assert_eq!(shown.ok().json()["task_uuid"], task.as_str());
    tasker_on(db.url(), &["task", "show", &task[..24]])
        .await
        .ok();
    let step = format!("{}0002", &task[..32]);
    tasker_on(db.url(), &["task", "show", &step]).await.ok();
    let of_step = ["step", "show", short, "first", "--json"];
    let of_step = tasker_on(db.url(), &of_step).await.ok().json();
    assert_eq!(of_step["name"], "first");
    let page = ["task", "list", "--cursor", &other[24..], "--json"];
    let page = tasker_on(db.url(), &page).await.ok().json();
    assert_eq!(page["tasks"].as_array().unwrap().len(), 1);
    let skip = ["step", "skip", short, "first"];
    tasker_on(db.url(), &skip).await.ok();
    tasker_on(db.url(), &["task", "cancel", short]).await.ok();

    let answer = tasker_on(db.url(), &["task", "cancel", &task[..6]]).await;
    answer.refused(
        1,
        &["more than one task", &task, &other, "give more digits"],
    );
    let nobody = "fffffff0";
    for args in [
        &["task", "show", nobody][..],
        &["task", "resolve", nobody],
        &["step", "retry", nobody, "first"],
        &["step", "show", nobody, "first"],
    ] {
        let answer = tasker_on(db.url(), args).await;
        answer.refused(1, &["no task whose UUID has fffffff0", "tasker task list"]);
    }
}

#[tokio::test]
async fn tasks_are_listed_by_time_and_key() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = "{\"order_id\": 1}";
    let args = ["task", "submit", "shop/linear", "--context", context];
    let keyed = [&args[..], &["--idempotency-key", "order-1"]].concat();
    tasker_on(db.url(), &keyed).await.ok();
    tasker_on(db.url(), &args).await.ok();
    for (filter, count) in [
        (&["--since", "1h"][..], 2),
        (&["--until", "1h"], 0),
        (&["--since", "2020-01-01", "--key", "order-1"], 1),
        (&["--key", "order-2"], 0),
        (&["--step", "first"], 0),
        (&["--error", "refused", "--state", "complete"], 0),
    ] {
        let args = [&["task", "list", "--json"], filter].concat();
        let listed = tasker_on(db.url(), &args).await.ok().json();
        let tasks = listed["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), count, "{filter:?}");
    }
}
