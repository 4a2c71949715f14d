//! What was submitted together is announced, also where a client goes away.

use std::collections::HashMap;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

use super::enqueued::beside_an_orchestrator;
use super::{answers, count, order, submit_behind, submit_first};
use crate::support::{Answer, Api, TEMPLATE};

#[tokio::test]
async fn every_task_is_announced_once_as_a_start_however_small_the_announcers_channel_is() {
    let api = Api::configured(|config| {
        config
            .mpsc_channels
            .shared
            .announcer
            .announcement_buffer_size = 1;
    })
    .await;
    api.apply(TEMPLATE).await;
    let mut listener = listen(&api).await;
    join_all((0..50).map(|_| api.submit())).await;
    let batch = json!({"tasks": vec![order(&json!({"priority": 7})); 30]});
    api.post("/v1/tasks/batch", &batch).await.expect(201);

    api.stopped().await;
    let heard = heard(&api, &mut listener).await;
    assert_eq!(sum(&heard, "task_count"), 80);
    assert_eq!(sum(&heard, "ready_steps"), 80);
    for payload in &heard {
        assert_eq!(payload["triggered_by"], "task_start", "{payload}");
        assert_eq!(payload["namespace"], "shop");
    }
    let most_urgent = heard
        .iter()
        .map(|it| it["priority"].as_i64().unwrap())
        .max();
    assert_eq!(most_urgent, Some(7));
}

#[tokio::test]
async fn a_batch_whose_client_went_away_is_announced_all_the_same() {
    let api = Api::with_template().await;
    let mut listener = listen(&api).await;
    let held = api.hold().await;
    let batch = json!({"tasks": vec![order(&json!({})); 3]});
    let request = api.client.post(api.url("/v1/tasks/batch")).json(&batch);
    let request = tokio::spawn(Answer::of(request));
    api.until_held_up(1).await;
    request.abort();
    held.rollback().await.unwrap();

    api.stopped().await;
    assert_eq!(sum(&heard(&api, &mut listener).await, "task_count"), 3);
}

#[tokio::test]
async fn a_server_that_stops_submits_answers_and_announces_what_it_took_on() {
    let api = Api::with_template().await;
    let mut listener = listen(&api).await;
    let held = api.hold().await;
    let first = submit_first(&api).await;
    let others = submit_behind(&api, &vec![order(&json!({})); 5]).await;
    api.stop();
    held.rollback().await.unwrap();

    first.await.unwrap().expect(201);
    for answer in answers(others).await {
        answer.expect(201);
    }
    api.stopped().await;
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 6);
    assert_eq!(sum(&heard(&api, &mut listener).await, "task_count"), 6);
}

#[tokio::test]
async fn tasks_that_start_with_their_submission_are_announced_in_both_states_and_wake_their_queue()
{
    let (api, _) = beside_an_orchestrator(&[]).await;
    let mut states = listen_to(&api, "tasker_task_state").await;
    let mut wake_ups = listen_to(&api, "pgmq.q_worker_shop_queue.INSERT").await;
    let known = order(&json!({"idempotency_key": "k"}));
    for tasks in [
        vec![known.clone()],
        vec![known, order(&json!({})), order(&json!({}))],
    ] {
        let batch = json!({"tasks": tasks});
        api.post("/v1/tasks/batch", &batch).await.expect(201);
    }

    api.stopped().await;

    let mut heard_of = HashMap::<String, Vec<String>>::new();
    for payload in heard(&api, &mut states).await {
        for task in payload["task_uuids"].as_array().unwrap() {
            let states = heard_of.entry(task.to_string()).or_default();
            states.push(payload["task_state"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(heard_of.len(), 3);
    for states in heard_of.values() {
        assert_eq!(states, &["pending", "in_progress"]);
    }
    assert!(!heard_texts(&api, &mut wake_ups).await.is_empty());
}

async fn listen(api: &Api) -> PgListener {
    listen_to(api, "tasker_task_ready").await
}

async fn listen_to(api: &Api, channel: &str) -> PgListener {
    let mut listener = PgListener::connect_with(api.database.pool()).await.unwrap();
    listener.listen_all([channel, "end"]).await.unwrap();
    listener
}

/// What was announced so far.
async fn heard(api: &Api, listener: &mut PgListener) -> Vec<Value> {
    let texts = heard_texts(api, listener).await;
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

async fn heard_texts(api: &Api, listener: &mut PgListener) -> Vec<String> {
    sqlx::query("select pg_notify('end', '')")
        .execute(api.database.pool())
        .await
        .unwrap();
    let mut heard = Vec::new();
    loop {
        let next = timeout(WAIT_TIMEOUT, listener.recv())
            .await
            .unwrap()
            .unwrap();
        if next.channel() == "end" {
            return heard;
        }
        heard.push(next.payload().to_owned());
    }
}

fn sum(heard: &[Value], member: &str) -> i64 {
    let members = heard
        .iter()
        .map(|payload| payload[member].as_i64().unwrap());
    members.sum()
}
