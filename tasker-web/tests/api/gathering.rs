//! Tasks that are submitted at the same time share a transaction, and nothing else.

mod announced;
mod clients;
mod connections;
mod enqueued;
mod keys;
mod together;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

use crate::support::{Answer, Api};

const TASKS: &str = "/v1/tasks";

fn order(members: &Value) -> Value {
    let mut task = json!({"namespace": "shop", "name": "order"});
    let task_members = task.as_object_mut().unwrap();
    task_members.extend(members.as_object().unwrap().clone());
    task
}

async fn count(api: &Api, query: &'static str) -> i64 {
    count_in(api.database.pool(), query).await
}

async fn count_in(pool: &PgPool, query: &'static str) -> i64 {
    let count = sqlx::query_scalar(query);
    count.fetch_one(pool).await.unwrap()
}

/// Starts a submission and returns once it is held up, alone in its transaction.
async fn submit_first(api: &Api) -> tokio::task::JoinHandle<Answer> {
    let first = api.client.post(api.url(TASKS)).json(&order(&json!({})));
    let first = tokio::spawn(Answer::of(first));
    api.until_held_up(1).await;
    first
}

/// Starts these submissions and returns once all of them wait for the next transaction.
async fn submit_behind(api: &Api, tasks: &[Value]) -> Vec<tokio::task::JoinHandle<Answer>> {
    let started = tasks.iter().map(|task| {
        let request = api.client.post(api.url(TASKS)).json(task);
        tokio::spawn(Answer::of(request))
    });
    let started = started.collect();
    api.until_gathered(tasks.len()).await;
    started
}

async fn answers(started: Vec<tokio::task::JoinHandle<Answer>>) -> Vec<Answer> {
    let answers = timeout(WAIT_TIMEOUT, join_all(started)).await.unwrap();
    answers.into_iter().map(Result::unwrap).collect()
}
