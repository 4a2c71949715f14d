//! What the server says when it takes no more, and that it keeps what it took.

use serde_json::{Value, json};
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tokio::task::JoinHandle;

use crate::support::{Answer, Api, TEMPLATE};

const TASKS: &str = "/v1/tasks";

fn order() -> Value {
    json!({"namespace": "shop", "name": "order"})
}

fn start(api: &Api, path: &str, body: &Value) -> JoinHandle<Answer> {
    tokio::spawn(Answer::of(api.client.post(api.url(path)).json(body)))
}

async fn count_tasks(api: &Api) -> i64 {
    let count = sqlx::query_scalar("select count(*) from tasker.tasks");
    count.fetch_one(api.database.pool()).await.unwrap()
}

fn assert_asks_to_come_back(answer: &Answer, key: &str) {
    let problem = answer.problem(503, "too-many-requests");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(problem["hint"].as_str().unwrap().contains(key), "{problem}");
}

#[tokio::test]
async fn submissions_beyond_the_buffer_are_asked_to_come_back_and_the_others_are_kept() {
    let api = Api::configured(|config| {
        config.mpsc_channels.web.submissions.submission_buffer_size = 3;
    })
    .await;
    api.apply(TEMPLATE).await;
    let held = api.hold().await;
    let mut accepted = vec![start(&api, TASKS, &order())];
    api.until_held_up(1).await;
    accepted.extend((0..3).map(|_| start(&api, TASKS, &order())));
    api.until_gathered(3).await;

    for _ in 0..5 {
        let refused = api.post(TASKS, &order()).await;
        assert_asks_to_come_back(&refused, "mpsc_channels.web.submissions");
    }
    api.get("/health/live").await.expect(200);
    let ready = api.get("/health/ready").await.expect(200);
    assert!(
        ready
            .to_string()
            .contains("channel web/submissions holds 3 of 3")
    );
    api.get("/v1/queues").await.expect(200);

    held.rollback().await.unwrap();
    for answer in accepted {
        answer.await.unwrap().expect(201);
    }
    assert_eq!(count_tasks(&api).await, 4);
    api.submit().await;
}

#[tokio::test]
async fn submissions_beyond_the_bytes_of_the_buffer_are_asked_to_come_back() {
    let api = Api::configured(|config| {
        config.mpsc_channels.web.submissions.submission_buffer_bytes = 20_000;
    })
    .await;
    api.apply(TEMPLATE).await;
    let held = api.hold().await;
    let mut accepted = vec![start(&api, TASKS, &order())];
    api.until_held_up(1).await;
    let mut large = order();
    large["context"] = json!({"note": "x".repeat(15_000)});
    accepted.push(start(&api, TASKS, &large));
    api.until_gathered(1).await;

    let refused = api.post(TASKS, &large).await;
    assert_asks_to_come_back(&refused, "mpsc_channels.web.submissions");
    accepted.push(start(&api, TASKS, &order()));

    held.rollback().await.unwrap();
    for answer in accepted {
        answer.await.unwrap().expect(201);
    }
    assert_eq!(count_tasks(&api).await, 3);
}

#[tokio::test]
async fn bodies_beyond_the_bytes_in_flight_are_asked_to_come_back_however_they_are_sent() {
    let api = Api::configured(|config| {
        config.web.max_request_bytes = 10_000;
        config.web.max_request_bytes_in_flight = 10_000;
    })
    .await;
    api.apply(TEMPLATE).await;
    let mut task = order();
    task["context"] = json!({"note": "x".repeat(6_000)});
    let batch = json!({"tasks": [task]});
    let held = api.hold().await;
    let accepted = start(&api, "/v1/tasks/batch", &batch);
    api.until_held_up(1).await;

    let key = "web.max_request_bytes_in_flight";
    for path in [TASKS, "/v1/tasks/batch"] {
        let body = vec![b' '; 6_000];
        let declared = api.post_as(path, "application/json", body).await;
        assert_asks_to_come_back(&declared, key);
        assert_eq!(declared.header("connection"), "close");
        let chunks = (0..6).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000]));
        let undeclared = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
        let undeclared = api.post_as(path, "application/json", undeclared).await;
        assert_asks_to_come_back(&undeclared, key);
    }
    api.get("/v1/queues").await.expect(200);
    let small = start(&api, TASKS, &order());

    held.rollback().await.unwrap();
    accepted.await.unwrap().expect(201);
    small.await.unwrap().expect(201);
    api.post("/v1/tasks/batch", &batch).await.expect(201);
    assert_eq!(count_tasks(&api).await, 3);
}

#[tokio::test]
async fn a_body_counts_until_its_tasks_are_submitted_even_if_its_client_has_gone() {
    let api = Api::configured(|config| {
        config.web.max_request_bytes = 10_000;
        config.web.max_request_bytes_in_flight = 10_000;
        config.web.max_concurrent_requests = 1;
    })
    .await;
    api.apply(TEMPLATE).await;
    let mut task = order();
    task["context"] = json!({"note": "x".repeat(6_000)});
    let batch = json!({"tasks": [task]});
    let held = api.hold().await;
    let gone = start(&api, "/v1/tasks/batch", &batch);
    api.until_held_up(1).await;
    gone.abort();
    wait_until("the server has noticed", WAIT_TIMEOUT, async || {
        api.get("/v1/queues").await.status == 200
    })
    .await;

    let refused = api.post("/v1/tasks/batch", &batch).await;
    assert_asks_to_come_back(&refused, "web.max_request_bytes_in_flight");

    held.rollback().await.unwrap();
    wait_until("there is room again", WAIT_TIMEOUT, async || {
        api.post("/v1/tasks/batch", &batch).await.status == 201
    })
    .await;
    assert_eq!(count_tasks(&api).await, 2);
}
