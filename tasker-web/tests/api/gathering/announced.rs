//! What was submitted together is announced, also where a client goes away.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

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

async fn listen(api: &Api) -> PgListener {
    let mut listener = PgListener::connect_with(api.database.pool()).await.unwrap();
    listener
        .listen_all(["tasker_task_ready", "end"])
        .await
        .unwrap();
    listener
}

/// The announcements of ready tasks so far.
async fn heard(api: &Api, listener: &mut PgListener) -> Vec<Value> {
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
        heard.push(serde_json::from_str(next.payload()).unwrap());
    }
}

fn sum(heard: &[Value], member: &str) -> i64 {
    let members = heard
        .iter()
        .map(|payload| payload[member].as_i64().unwrap());
    members.sum()
}
