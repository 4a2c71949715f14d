//! The waiter, without the requests.

use futures::FutureExt;
use serde_json::json;
use tasker_shared::config::TaskerConfig;
use tasker_testing::{TestDatabase, WAIT_TIMEOUT};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;

fn interests(max_waiters: usize) -> Arc<Interests> {
    Arc::new(Interests {
        waiting: Mutex::default(),
        fresh: Mutex::default(),
        max_waiters,
        asleep: AtomicUsize::new(0),
        someone: Notify::new(),
        stopped: CancellationToken::new(),
    })
}

fn register(interests: &Arc<Interests>, task_uuid: TaskUuid) -> Interest {
    Interest {
        interests: Arc::clone(interests),
        task_uuid,
        changed: interests.add(task_uuid).unwrap(),
    }
}

const TASK_STATE: &str = "tasker_task_state";

fn a_task() -> TaskUuid {
    TaskUuid(Uuid::new_v4())
}

#[test]
fn an_end_between_registering_and_waiting_is_not_missed() {
    let interests = interests(10);
    let task = a_task();
    let mut interest = register(&interests, task);

    hear(
        &interests,
        ListenEvent::Notification {
            channel: TASK_STATE.to_owned(),
            payload: format!(r#"{{"task_state":"complete","task_uuids":["{task}"]}}"#),
        },
    );

    assert_eq!(interest.notified().now_or_never(), Some(true));
    assert_eq!(interest.notified().now_or_never(), None);
}

#[test]
fn a_state_that_is_no_end_wakes_nobody() {
    let interests = interests(10);
    let task = a_task();
    let mut interest = register(&interests, task);

    for state in ["pending", "in_progress"] {
        let payload = format!(r#"{{"task_state":"{state}","task_uuids":["{task}"]}}"#);
        let channel = TASK_STATE.to_owned();
        hear(&interests, ListenEvent::Notification { channel, payload });
    }

    assert_eq!(interest.notified().now_or_never(), None);
}

#[test]
fn a_submitted_task_is_known_to_run_until_its_end_is_heard() {
    let waiter = TaskWaiter {
        interests: interests(10),
    };
    let task = a_task();
    waiter.submitted(task);
    assert!(!waiter.is_known_to_run(task), "nothing is heard yet");

    hear(&waiter.interests, ListenEvent::Connected);
    waiter.submitted(task);
    for (state, runs) in [("in_progress", true), ("cancelled", false)] {
        let payload = format!(r#"{{"task_state":"{state}","task_uuids":["{task}"]}}"#);
        let channel = TASK_STATE.to_owned();
        hear(
            &waiter.interests,
            ListenEvent::Notification { channel, payload },
        );
        assert_eq!(waiter.is_known_to_run(task), runs, "{state}");
    }
}

#[test]
fn only_those_who_wait_for_the_task_are_woken() {
    let interests = interests(10);
    let (first, second) = (a_task(), a_task());
    let mut woken = [register(&interests, first), register(&interests, first)];
    let mut asleep = register(&interests, second);

    interests.notify(&[first, a_task()]);

    for interest in &mut woken {
        assert_eq!(interest.notified().now_or_never(), Some(true));
    }
    assert_eq!(asleep.notified().now_or_never(), None);
}

#[test]
fn a_new_connection_wakes_everybody() {
    let interests = interests(10);
    let mut interest = register(&interests, a_task());

    hear(&interests, ListenEvent::Connected);

    assert_eq!(interest.notified().now_or_never(), Some(true));
}

#[test]
fn a_payload_that_is_not_understood_wakes_nobody() {
    let interests = interests(10);
    let mut interest = register(&interests, a_task());

    for payload in ["", "{}", r#"{"task_uuids": ["x"]}"#] {
        hear(
            &interests,
            ListenEvent::Notification {
                channel: TASK_STATE.to_owned(),
                payload: payload.to_owned(),
            },
        );
    }

    assert_eq!(interest.notified().now_or_never(), None);
}

#[test]
fn the_number_of_waiters_is_bounded_and_places_are_given_back() {
    let interests = interests(2);
    let task = a_task();
    let first = register(&interests, task);
    let second = register(&interests, task);

    assert_eq!(interests.add(task).err(), Some(TooManyWaiters));
    drop((first, second));

    assert!(interests.tasks().is_empty());
    drop(register(&interests, task));
}

#[test]
fn stopping_ends_every_wait() {
    let interests = interests(10);
    let mut interest = register(&interests, a_task());

    interests.stopped.cancel();

    assert_eq!(interest.notified().now_or_never(), Some(false));
}

async fn connect(test_database: &TestDatabase) -> Database {
    let mut config = TaskerConfig::default().database;
    config.url = test_database.url().into();
    Database::connect(&config).await.unwrap()
}

#[tokio::test]
async fn a_notification_alone_wakes_those_who_wait() {
    let test_database = TestDatabase::create().await;
    let database = connect(&test_database).await;
    let interests = interests(10);
    let task = a_task();
    let mut interest = register(&interests, task);
    let mut listening = Listening {
        database: database.clone(),
        config: TaskerConfig::default().event_systems.listener,
        interests: Arc::clone(&interests),
    };
    let listening = tokio::spawn(async move { listening.run().await });
    // The first ring says that the connection listens.
    assert!(timeout(WAIT_TIMEOUT, interest.notified()).await.unwrap());

    sqlx::query("select pg_notify($1, $2)")
        .bind(TASK_STATE)
        .bind(json!({"task_state": "complete", "task_uuids": [task]}).to_string())
        .execute(database.pool())
        .await
        .unwrap();

    assert!(timeout(WAIT_TIMEOUT, interest.notified()).await.unwrap());
    interests.stopped.cancel();
    timeout(WAIT_TIMEOUT, listening).await.unwrap().unwrap();
}
