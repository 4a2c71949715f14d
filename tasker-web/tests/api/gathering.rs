//! Tasks that are submitted at the same time share a transaction, and nothing else.

use std::collections::{BTreeMap, HashSet};

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tasker_testing::{FaultProxy, PATIENCE, TestDatabase, wait_until};
use tokio::time::timeout;

use crate::support::{Answer, Api, TEMPLATE};

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
    let answers = timeout(PATIENCE, join_all(started)).await.unwrap();
    answers.into_iter().map(Result::unwrap).collect()
}

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
    for answer in timeout(PATIENCE, others).await.unwrap() {
        answer.expect(201);
    }
    assert!(!same.is_finished());

    own.commit().await.unwrap();
    let same = timeout(PATIENCE, same).await.unwrap().unwrap();
    assert_eq!(same.expect(200)["task_uuid"], json!(first));
    assert_eq!(same.json()["created"], false);
}

#[tokio::test]
async fn tasks_that_wait_for_a_key_leave_connections_for_everybody_else() {
    const WAITING: usize = 8;
    let database = TestDatabase::create().await;
    let few = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.max_connections = 4;
        config.database.acquire_timeout_ms = 500;
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
    wait_until("tasks wait for the key apart", PATIENCE, async || {
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

#[tokio::test]
async fn a_request_whose_client_went_away_before_its_turn_submits_nothing() {
    let api = Api::configured(|config| config.web.max_concurrent_requests = 2).await;
    api.apply(TEMPLATE).await;
    let held = api.hold().await;
    let first = submit_first(&api).await;
    let mut gone = submit_behind(&api, &[order(&json!({}))]).await;
    api.get("/v1/queues")
        .await
        .problem(503, "too-many-requests");

    gone.pop().unwrap().abort();
    wait_until("the server has noticed", PATIENCE, async || {
        api.get("/v1/queues").await.status == 200
    })
    .await;
    held.rollback().await.unwrap();

    first.await.unwrap().expect(201);
    // What follows is submitted after what would have been.
    api.submit().await;
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 2);
}

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
async fn through_broken_connections_every_answer_holds_and_no_key_makes_two_tasks() {
    const REQUESTS: usize = 60;
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let hasty = |config: &mut tasker_shared::config::TaskerConfig| {
        config.database.acquire_timeout_ms = 2000;
        // A connection that is cut in the middle of a call may be found out by this alone.
        config.database.call_timeout_ms = 2000;
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
            wait_until("more tasks are there", PATIENCE, async || {
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
        wait_until("the connections are gone", PATIENCE, async || {
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
        let next = timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
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
