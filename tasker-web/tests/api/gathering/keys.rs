//! Idempotency keys that several have at once.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};
use tokio::time::timeout;

use super::{TASKS, answers, count, count_in, order};
use crate::support::{Answer, Api, TEMPLATE};

#[tokio::test]
async fn keys_that_many_use_at_once_each_make_one_task() {
    let api = Api::with_template().await;
    let requests =
        (0..60).map(|index| order(&json!({"idempotency_key": format!("k{}", index % 6)})));
    let requests: Vec<_> = requests.collect();
    let answers = join_all(requests.iter().map(|request| api.post(TASKS, request))).await;

    let mut by_key = BTreeMap::<usize, Vec<&Answer>>::new();
    for (index, answer) in answers.iter().enumerate() {
        by_key.entry(index % 6).or_default().push(answer);
    }
    for answers in by_key.values() {
        let statuses = |status| answers.iter().filter(|it| it.status == status).count();
        assert_eq!((statuses(201), statuses(200)), (1, 9), "{answers:?}");
        let uuids = answers.iter().map(|it| it.json()["task_uuid"].to_string());
        assert_eq!(uuids.collect::<HashSet<_>>().len(), 1);
    }
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 6);
}

#[tokio::test]
async fn a_key_in_the_hands_of_an_open_transaction_holds_up_its_own_task_alone() {
    let api = Api::with_template().await;
    let mut own = api.database.pool().begin().await.unwrap();
    let first: uuid::Uuid =
        sqlx::query_scalar("select tasker.submit_task('shop', 'order', p_idempotency_key => 'k')")
            .fetch_one(&mut *own)
            .await
            .unwrap();
    let same = order(&json!({"idempotency_key": "k"}));
    let same = tokio::spawn(Answer::of(api.client.post(api.url(TASKS)).json(&same)));
    api.until_held_up(1).await;

    let another = order(&json!({"idempotency_key": "another"}));
    let others = [order(&json!({})), another];
    let others = join_all(others.iter().map(|task| api.post(TASKS, task)));
    for answer in timeout(WAIT_TIMEOUT, others).await.unwrap() {
        answer.expect(201);
    }
    assert!(!same.is_finished());

    own.commit().await.unwrap();
    let same = timeout(WAIT_TIMEOUT, same).await.unwrap().unwrap();
    assert_eq!(same.expect(200)["task_uuid"], json!(first));
    assert_eq!(same.json()["created"], false);
}

#[tokio::test]
async fn tasks_that_wait_for_a_key_leave_connections_for_everybody_else() {
    const WAITING: usize = 8;
    let database = TestDatabase::create().await;
    let few = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.max_connections = 4;
        config.database.acquire_timeout = Duration::from_millis(500);
    };
    let api = Api::on(database.url(), few, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let pool = database.pool();
    let mut own = pool.begin().await.unwrap();
    sqlx::query("select tasker.submit_task('shop', 'order', p_idempotency_key => 'k')")
        .execute(&mut *own)
        .await
        .unwrap();

    let same = order(&json!({"idempotency_key": "k"}));
    let same = (0..WAITING).map(|_| {
        let request = api.client.post(api.url(TASKS)).json(&same);
        tokio::spawn(Answer::of(request))
    });
    let same = same.collect();
    wait_until("tasks wait for the key apart", WAIT_TIMEOUT, async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
             and datname = current_database() and query like '%submit_tasks_silently%'";
        count_in(&pool, waiting).await >= 2
    })
    .await;

    // Long enough for all of them to have come apart.
    for _ in 0..500 {
        api.get(TASKS).await.expect(200);
    }
    own.commit().await.unwrap();
    for answer in answers(same).await {
        assert_eq!(answer.expect(200)["created"], false);
    }
}

#[tokio::test]
async fn a_key_whose_task_is_gone_answers_with_its_uuid_alone_and_in_a_batch() {
    let database = TestDatabase::create().await;
    let api = Api::on(database.url(), |_| {}, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let keyed = order(&json!({"idempotency_key": "k"}));
    let first = api.post(TASKS, &keyed).await.expect(201);
    let task = first["task_uuid"].as_str().unwrap();
    api.act(&format!("{TASKS}/{task}/cancel")).await.expect(200);
    let pool = database.pool();
    sqlx::raw_sql(
        "update tasker.tasks set finished_at = now() - interval '2 days';
         select tasker.prune_tasks(
           '{\"cancelled_days\": 1, \"idempotency_key_days\": 30}',
           '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 10, 'none'
         )",
    )
    .execute(&pool)
    .await
    .unwrap();

    let again = api.post(TASKS, &keyed).await.expect(200);
    assert_eq!(
        (&again["task_uuid"], &again["created"]),
        (&json!(task), &json!(false))
    );
    let batch = json!({ "tasks": [order(&json!({})), keyed] });
    let batch = api
        .post(&format!("{TASKS}/batch"), &batch)
        .await
        .expect(201);
    assert_eq!(batch["tasks"][0]["created"], true);
    assert_eq!(batch["tasks"][1]["task_uuid"], json!(task));

    for path in [
        format!("{TASKS}/{task}"),
        format!("{TASKS}/{task}?wait_ms=60000"),
    ] {
        let gone = api.get(&path).await.problem(404, "not-found");
        assert!(gone["detail"].as_str().unwrap().contains(task), "{gone}");
    }
}
