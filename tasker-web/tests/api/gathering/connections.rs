//! Connections that break under submissions.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tasker_testing::{FaultProxy, TestDatabase, WAIT_TIMEOUT, wait_until};

use super::{TASKS, count_in, order};
use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn through_broken_connections_every_answer_holds_and_no_key_makes_two_tasks() {
    const REQUESTS: usize = 60;
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let hasty = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.acquire_timeout = Duration::from_secs(2);
        // A connection that is cut in the middle of a call may be found out by this alone.
        config.database.call_timeout = Duration::from_secs(2);
    };
    let api = Api::on(proxy.url(), hasty, Vec::new()).await;
    api.apply(TEMPLATE).await;

    let submit = async |index: usize| {
        let keyed = index.is_multiple_of(2);
        let mut task = order(&json!({}));
        if keyed {
            task["idempotency_key"] = json!(format!("k{index}"));
        }
        loop {
            let answer = api.post(TASKS, &task).await;
            match answer.status {
                200 | 201 => return answer.json()["task_uuid"].as_str().unwrap().to_owned(),
                _ => answer.problem(503, "unavailable"),
            };
        }
    };
    let pool = database.pool();
    let breaks = async {
        for round in 0..6 {
            wait_until("more tasks are there", WAIT_TIMEOUT, async || {
                count_in(&pool, "select count(*) from tasker.tasks").await >= round * 4
            })
            .await;
            proxy.reset();
        }
    };
    let (answered, ()) = tokio::join!(join_all((0..REQUESTS).map(submit)), breaks);

    let answered: HashSet<_> = answered.into_iter().collect();
    assert_eq!(answered.len(), REQUESTS);
    let tasks: Vec<String> = sqlx::query_scalar("select task_uuid::text from tasker.tasks")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(answered.is_subset(&tasks.into_iter().collect()));
    let keyed = "select count(*) from tasker.tasks where idempotency_key is not null";
    assert_eq!(count_in(&pool, keyed).await, 30);
}

#[tokio::test]
async fn a_connection_that_broke_while_it_was_idle_costs_no_request() {
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let api = Api::on(proxy.url(), |_| {}, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let pool = database.pool();
    let connected = "select coalesce(array_agg(pid), '{}') from pg_stat_activity \
         where datname = current_database() and application_name = 'tasker'";
    for _ in 0..3 {
        api.submit().await;
        let before: Vec<i32> = sqlx::query_scalar(connected)
            .fetch_one(&pool)
            .await
            .unwrap();
        proxy.reset();
        // Some come back by themselves.
        wait_until("the connections are gone", WAIT_TIMEOUT, async || {
            let now = sqlx::query_scalar(connected).fetch_one(&pool).await;
            let now: Vec<i32> = now.unwrap();
            before.iter().all(|pid| !now.contains(pid))
        })
        .await;
    }
    api.submit().await;
    let tasks = "select count(*) from tasker.tasks";
    assert_eq!(count_in(&pool, tasks).await, 4);
}
