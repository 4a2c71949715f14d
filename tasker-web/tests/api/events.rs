//! Events, as clients receive them while tasks are moved by others.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use tasker_shared::config::TaskerConfig;
use tasker_shared::operator::Action;
use tasker_shared::steps::{StepError, StepOutcome};
use tasker_testing::{Durability, FaultProxy, TestDatabase, TestServer, WAIT_TIMEOUT, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::document::assert_fits;
use crate::support::{Api, TEMPLATE};

/// A client that reads a stream of events.
pub(crate) struct Events {
    response: reqwest::Response,
    unread: String,
}

impl Events {
    pub(crate) async fn of(api: &Api, query: &str) -> Self {
        let response = api.client.get(api.url(&format!("/v1/events{query}")));
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The name and the data of the next event; nothing at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        let next = timeout(WAIT_TIMEOUT, self.read()).await;
        next.expect("nothing was told")
    }

    async fn read(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((message, rest)) = self.unread.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.unread = rest;
                if let Some(event) = parsed(&message) {
                    return Some(event);
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.unread.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next events, each with its step or state.
    pub(crate) async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            let (name, data) = self.next().await.expect("the stream has ended");
            assert!(name == "lagged" || data["event"] == name, "{data}");
            let about = data["step"].as_str().or(data["to_state"].as_str());
            told.push(format!("{name} {}", about.unwrap_or_default()));
        }
        told
    }
}

/// The name and the data of an event; nothing of a comment.
fn parsed(message: &str) -> Option<(String, Value)> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
    let name = field("event: ")?.to_owned();
    Some((name, serde_json::from_str(field("data: ")?).unwrap()))
}

async fn cancel(connection: &mut PgConnection, uuid: &str) {
    let task = uuid.parse().unwrap();
    Action::CancelTask
        .carry_out(connection, task, "me", None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tasks_life_is_told_in_order_by_a_server_that_has_no_part_in_it() {
    let api = Api::with_template().await;
    let document = api.get("/openapi.json").await.expect(200);
    let mut events = Events::of(&api, "").await;

    let mut connection = api.database.pool().acquire().await.unwrap();
    sqlx::query("select tasker.submit_task('shop', 'order', '{}')")
        .execute(&mut *connection)
        .await
        .unwrap();
    api.run_to_end().await;

    assert_eq!(
        events.told(9).await,
        [
            "task_submitted pending",
            "task_started in_progress",
            "step_enqueued charge",
            "step_started charge",
            "step_completed charge",
            "step_enqueued ship",
            "step_started ship",
            "step_completed ship",
            "task_finished complete"
        ]
    );
    let uuid = api.submit().await;
    api.fail().await;
    for _ in 0..5 {
        let (_, data) = events.next().await.unwrap();
        assert_eq!(data["task_uuid"], uuid);
        assert_fits(&document, "LifecycleEvent", &data);
        if data["event"] == "step_failed" {
            assert_eq!(data["retryable"], false);
            assert_eq!(data["error"], "handler_failed");
        }
    }
    assert_eq!(events.told(1).await, ["task_finished error"]);
}

#[tokio::test]
async fn only_what_was_asked_for_is_sent() {
    let api = Api::with_template().await;
    api.apply(&TEMPLATE.replace("namespace: shop", "namespace: depot"))
        .await;
    let first = api.submit().await;
    let mut of_task = Events::of(&api, &format!("?task_uuid={first}")).await;
    let mut of_types = Events::of(&api, "?types=step_failed,task_finished").await;
    let mut of_namespace = Events::of(&api, "?namespace=depot").await;

    let second = api.submit().await;
    let task = json!({"namespace": "depot", "name": "order"});
    api.post("/v1/tasks", &task).await.expect(201);
    let mut connection = api.database.pool().acquire().await.unwrap();
    cancel(&mut connection, &second).await;
    drop(connection);
    api.run(StepOutcome::Retry {
        error: StepError {
            kind: "timeout".to_owned(),
            message: "slow".to_owned(),
            details: None,
        },
        after: None,
    })
    .await;

    let told = of_task.told(5).await;
    assert_eq!(told[0], "task_started in_progress");
    assert_eq!(told[3..], ["step_failed charge", "task_finished error"]);
    assert_eq!(
        of_types.told(3).await,
        [
            "task_finished cancelled",
            "step_failed charge",
            "task_finished error"
        ]
    );
    assert_eq!(of_namespace.told(2).await[0], "task_submitted pending");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused() {
    let api = Api::start().await;
    for (query, part) in [
        ("types=step_failed,nothing", "unknown event \"nothing\""),
        ("types=", "unknown event \"\""),
        ("task_uuid=7", "is not the uuid of a task"),
        ("since=now", "unknown field `since`"),
        ("namespace=", "\"\" is not a namespace"),
        ("namespace=shop,depot", "is not a namespace"),
        ("namespace=Shop", "\"Shop\" is not a namespace"),
    ] {
        let refused = api.get(&format!("/v1/events?{query}")).await;
        let problem = refused.problem(400, "invalid-request");
        assert!(
            problem["detail"].as_str().unwrap().contains(part),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_namespace_may_be_named_before_it_is_there() {
    let api = Api::start().await;
    let mut events = Events::of(&api, "?namespace=shop").await;

    api.apply(TEMPLATE).await;
    api.submit().await;

    assert_eq!(events.told(1).await, ["task_submitted pending"]);
}

#[tokio::test]
async fn what_is_committed_late_is_told_late() {
    let api = Api::with_template().await;
    let (first, second) = (api.submit().await, api.submit().await);
    let mut events = Events::of(&api, "?types=task_finished").await;
    let mut late = api.database.pool().begin().await.unwrap();
    cancel(&mut late, &first).await;
    let mut connection = api.database.pool().acquire().await.unwrap();
    cancel(&mut connection, &second).await;

    let (_, told) = events.next().await.unwrap();
    assert_eq!(told["task_uuid"], second);
    late.commit().await.unwrap();
    let (_, told) = events.next().await.unwrap();
    assert_eq!(told["task_uuid"], first);
}

#[tokio::test]
async fn a_stream_outlives_the_loss_of_the_database() {
    let database = TestDatabase::create().await;
    let proxy = FaultProxy::to(database.url()).await;
    let workers = Api::on(database.url(), |_| {}, Vec::new()).await;
    workers.apply(TEMPLATE).await;
    let api = Api::on(proxy.url(), |_| {}, Vec::new()).await;
    proxy.cut();
    let refused = api.get("/v1/events").await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    proxy.resume();
    let mut events = Events::of(&api, "?types=task_finished").await;

    proxy.cut();
    workers.submit().await;
    workers.run_to_end().await;
    proxy.resume();

    assert_eq!(events.told(1).await, ["task_finished complete"]);
}

#[tokio::test]
async fn a_stream_outlives_a_crash_of_the_server_and_says_that_there_was_one() {
    let server = TestServer::start(Durability::Disposable).await;
    let api = Api::on(server.url(), |_| {}, Vec::new()).await;
    api.apply(TEMPLATE).await;
    let mut events = Events::of(&api, "").await;

    server.kill().await;
    server.restart().await;

    // What was told may have been undone.
    let (name, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), data), ("lagged", json!({"missed": 0})));
    api.submit().await;
    assert_eq!(events.told(1).await, ["task_submitted pending"]);
}

async fn until_subscribed(api: &Api, clients: usize) {
    let expected = format!("{clients} clients subscribe to events");
    wait_until(&expected, WAIT_TIMEOUT, async || {
        api.get("/health/ready").await.text.contains(&expected)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_ends_the_streams_at_once() {
    let api = Api::configured(|config| config.web.request_timeout = Duration::from_hours(1)).await;
    let mut events = Events::of(&api, "").await;
    api.stop();
    assert_eq!(events.next().await, None);
    api.stopped().await;
}

#[tokio::test]
async fn no_more_clients_subscribe_than_may_and_places_are_given_back() {
    let api = Api::configured(|config| config.web.max_event_subscribers = 1).await;
    let first = Events::of(&api, "").await;
    let refused = api.get("/v1/events").await;
    refused.problem(503, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");

    drop(first);

    until_subscribed(&api, 0).await;
    Events::of(&api, "").await;
}

/// A client that subscribed, and reads nothing more by itself.
async fn idle_client(api: &Api) -> TcpStream {
    let address = api.url("").replace("http://", "");
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut client, "text/event-stream").await;
    client
}

/// Reads until the text was sent.
async fn read_until(client: &mut TcpStream, text: &str) {
    let read = async {
        let mut last = String::new();
        let mut buffer = vec![0; 65_536];
        while !last.contains(text) {
            let length = client.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the stream ended");
            last = last.split_off(last.len().saturating_sub(text.len()));
            last.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    timeout(WAIT_TIMEOUT, read).await.expect(text);
}

/// A server whose clients lag soon, and a task on it.
async fn with_little_room(change: impl FnOnce(&mut TaskerConfig)) -> (Api, String) {
    let api = Api::configured(|config| {
        let publisher = &mut config.mpsc_channels.shared.event_publisher;
        publisher.event_queue_buffer_size = 2000;
        change(config);
    })
    .await;
    api.apply(TEMPLATE).await;
    let uuid = api.submit().await;
    (api, uuid)
}

/// Lets more happen than fits between the server and a client, until the server has no room left.
async fn until_lagging(api: &Api, uuid: &str) {
    let missed = r#"events_dropped_total{channel="in_process_events",component="web"}"#;
    let burst = format!(
        "insert into tasker.step_log
           (task_uuid, at, step_no, attempt, from_state, to_state, reason)
         select '{uuid}', now(), 1, n, 'enqueued', 'in_progress', repeat('x', 1000)
         from generate_series(1, 2000) n"
    );
    wait_until("the client lags", WAIT_TIMEOUT, async || {
        let burst = sqlx::query(AssertSqlSafe(burst.clone()));
        burst.execute(api.database.pool()).await.unwrap();
        api.get("/metrics").await.text.lines().any(|line| {
            line.strip_prefix(missed)
                .is_some_and(|count| count.trim() != "0")
        })
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_told_so_and_goes_on() {
    let (api, uuid) = with_little_room(|_| {}).await;
    let mut client = idle_client(&api).await;

    until_lagging(&api, &uuid).await;

    // Megabytes lie before it.
    read_until(&mut client, "event: lagged\ndata: {\"missed\":").await;
    let mut connection = api.database.pool().acquire().await.unwrap();
    cancel(&mut connection, &uuid).await;
    read_until(&mut client, "event: task_finished").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_a_server_that_stops() {
    let (api, uuid) =
        with_little_room(|config| config.web.request_timeout = Duration::from_hours(1)).await;
    let client = idle_client(&api).await;
    until_lagging(&api, &uuid).await;

    api.stopped().await;

    drop(client);
}
