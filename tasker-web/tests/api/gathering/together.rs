//! Tasks that share a transaction, and are answered as if each had its own.

use std::collections::HashSet;

use serde_json::json;

use super::{TASKS, answers, count, order, submit_behind, submit_first};
use crate::support::Api;

#[tokio::test]
async fn a_hundred_tasks_that_come_during_one_transaction_are_the_next_one() {
    let api = Api::with_template().await;
    let held = api.hold().await;
    let first = submit_first(&api).await;
    let others = submit_behind(&api, &vec![order(&json!({})); 100]).await;
    held.rollback().await.unwrap();

    first.await.unwrap().expect(201);
    let mut tasks = HashSet::new();
    for answer in answers(others).await {
        assert_eq!(answer.expect(201)["created"], true);
        tasks.insert(answer.json()["task_uuid"].to_string());
    }
    assert_eq!(tasks.len(), 100);
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 101);
    let transactions = "select count(distinct xmin::text) from tasker.tasks";
    assert_eq!(count(&api, transactions).await, 2);
}

#[tokio::test]
async fn bad_tasks_among_many_are_refused_alone_and_in_the_words_they_are_refused_in_alone() {
    let api = Api::with_template().await;
    let bad = [
        json!({"namespace": "shop", "name": "refund"}),
        order(&json!({"version": "9.9.9"})),
        order(&json!({"context": {"order_id": "seven"}})),
        order(&json!({"priority": 1_000_000})),
    ];
    let mut alone = Vec::new();
    for task in &bad {
        alone.push(api.post(TASKS, task).await);
    }
    let mut tasks = vec![order(&json!({"context": {"order_id": 1}})); 60];
    for (index, task) in bad.iter().enumerate() {
        tasks.insert(index * 17, task.clone());
    }
    let held = api.hold().await;
    let first = submit_first(&api).await;
    let others = submit_behind(&api, &tasks).await;
    held.rollback().await.unwrap();

    first.await.unwrap().expect(201);
    let answers = answers(others).await;
    for (index, alone) in alone.iter().enumerate() {
        let among_many = &answers[index * 17];
        assert!((400..500).contains(&among_many.status), "{among_many:?}");
        assert_eq!(among_many.status, alone.status);
        assert_eq!(among_many.text, alone.text);
    }
    let created = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(created.count(), 60);
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 61);
}

#[tokio::test]
async fn a_large_task_is_answered_as_a_small_one() {
    let api = Api::with_template().await;
    let note = "x".repeat(300_000);
    let large = order(&json!({"context": {"note": note}, "idempotency_key": "k"}));
    let created = api.post(TASKS, &large).await;
    assert_eq!(created.expect(201)["created"], true);
    let task = api.get(created.header("location")).await.expect(200);
    assert_eq!(task["context"]["note"], json!(note));
    let again = api.post(TASKS, &large).await;
    assert_eq!(again.expect(200)["task_uuid"], created.json()["task_uuid"]);

    let bad = order(&json!({"context": {"note": note, "order_id": "seven"}}));
    let small = order(&json!({"context": {"order_id": "seven"}}));
    assert_eq!(
        api.post(TASKS, &bad).await.text,
        api.post(TASKS, &small).await.text
    );
}
