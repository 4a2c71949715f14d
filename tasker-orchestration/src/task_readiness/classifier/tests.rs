//! What is understood of notifications, and what happens to it when a channel is full.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tasker_shared::channel::{self, ChannelSpec, SendRetry};
use tasker_shared::config::TaskerConfig;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use uuid::Uuid;

use super::*;
use crate::channels;
use crate::commands::TriggeredBy;
use crate::task_readiness::events::TaskReadyEvent;

const TASK_READY: &str = "tasker_task_ready";
const TASK_STATE: &str = "tasker_task_state";
const TIMER_SET: &str = "tasker_timer_set";
const NAMESPACE_CREATED: &str = "tasker_namespace_created";

/// The classifier of an orchestrator that serves these namespaces.
fn serving(namespaces: &[&str]) -> ReadinessEventClassifier {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    ReadinessEventClassifier::new(&NotifyChannels::with_prefix("tasker"), &namespaces)
}

fn classify(channel: &str, payload: &str) -> Result<Classified, Ignored> {
    serving(&[]).classify(channel, payload)
}

fn task_ready(payload: &str) -> TaskReadyEvent {
    match classify(TASK_READY, payload) {
        Ok(Classified::Readiness(TaskReadinessEvent::TaskReady(event))) => event,
        other => panic!("{payload} is {other:?}"),
    }
}

fn event(task_uuid: TaskUuid) -> TaskReadyEvent {
    task_ready(&json!({"task_uuid": task_uuid, "triggered_by": "task_start"}).to_string())
}

proptest! {
    #[test]
    fn what_is_announced_of_ready_tasks_is_read(
        uuid in prop::option::of(any::<u128>()),
        task_count in 1_i64..1_000_000,
        priority in any::<i32>(),
        namespace in prop::option::of("[a-z][a-z0-9_]{0,28}"),
        by_start in any::<bool>(),
    ) {
        let triggered_by = if by_start {
            TriggeredBy::TaskStart
        } else {
            TriggeredBy::StepTransition
        };
        let task_uuid = uuid.map(|uuid| TaskUuid(Uuid::from_u128(uuid)));
        let payload = json!({
            "namespace": namespace,
            "task_uuid": task_uuid,
            "task_count": task_count,
            "priority": priority,
            "triggered_by": triggered_by,
        });

        let event = task_ready(&payload.to_string());

        prop_assert_eq!(event.task_uuid, task_uuid);
        prop_assert_eq!(event.task_count, Some(task_count));
        prop_assert_eq!(event.priority, Some(priority));
        prop_assert_eq!(event.namespace, namespace);
        prop_assert_eq!(event.triggered_by, triggered_by);
    }

    #[test]
    fn no_payload_on_any_channel_is_more_than_an_event_or_ignored(
        channel in prop_oneof![
            Just(TASK_READY.to_owned()),
            Just(NAMESPACE_CREATED.to_owned()),
            Just(TIMER_SET.to_owned()),
            ".{0,64}",
        ],
        payload in prop_oneof![".{0,200}", "\\{\"[a-z_]{1,12}\": .{0,40}\\}"],
    ) {
        let known = serving(&[]).channels().any(|known| known == channel);
        let classified = classify(&channel, &payload);
        prop_assert_eq!(known, !matches!(classified, Err(Ignored::Foreign)));
    }
}

#[test]
fn a_payload_without_what_it_must_have_is_malformed() {
    for (channel, payload) in [
        (TASK_READY, ""),
        (TASK_READY, "{}"),
        (
            TASK_READY,
            r#"{"task_uuid": "x", "triggered_by": "task_start"}"#,
        ),
        (TASK_READY, r#"{"task_count": 2, "triggered_by": "a_wish"}"#),
        (
            TASK_STATE,
            r#"{"task_state": "happy", "namespace": "a", "task_uuids": []}"#,
        ),
        (
            TASK_STATE,
            r#"{"task_state": "complete", "namespace": "a"}"#,
        ),
        (NAMESPACE_CREATED, "{}"),
        (NAMESPACE_CREATED, r#"{"namespace": 1}"#),
    ] {
        let classified = classify(channel, payload);
        assert!(
            matches!(classified, Err(Ignored::Malformed(_))),
            "{payload}: {classified:?}"
        );
    }
}

#[test]
fn a_payload_longer_than_postgresql_sends_is_not_even_read() {
    let payload = json!({"triggered_by": "task_start", "padding": "x".repeat(8000)});
    assert!(matches!(
        classify(TASK_READY, &payload.to_string()),
        Err(Ignored::Oversized(_))
    ));
}

#[test]
fn a_channel_that_is_not_listened_to_is_foreign() {
    for channel in [
        "tasker_task_state.shop",
        "tasker_task_ready.shop",
        "pgmq.q_worker_a_queue.INSERT",
        "",
    ] {
        assert!(matches!(classify(channel, "{}"), Err(Ignored::Foreign)));
    }
}

#[test]
fn an_orchestrator_of_some_namespaces_hears_of_readiness_in_those_alone() {
    let classifier = serving(&["shop", "bank"]);
    let payload = json!({"triggered_by": "task_start"}).to_string();
    for (channel, known) in [
        ("tasker_task_ready.shop", true),
        ("tasker_task_ready.bank", true),
        ("tasker_task_ready.other", false),
        (TASK_READY, false),
        (TIMER_SET, true),
    ] {
        let understood = classifier.classify(channel, &payload);
        assert_eq!(known, understood.is_ok(), "{channel}: {understood:?}");
        assert_eq!(known, classifier.channels().any(|name| name == channel));
    }
}

#[test]
fn channels_are_known_by_their_configured_names() {
    let names = NotifyChannels::with_prefix("staging");
    let classifier = ReadinessEventClassifier::new(&names, &[]);
    let payload = json!({"triggered_by": "task_start"}).to_string();
    assert!(classifier.classify("staging_task_ready", &payload).is_ok());
    assert!(classifier.classify(TASK_READY, &payload).is_err());
}

#[test]
fn every_state_that_tasks_enter_is_an_event() {
    let tasks = [1, 2].map(|number| TaskUuid(Uuid::from_u128(number << 16)));
    for &state in TaskState::ALL {
        let payload = json!({"task_state": state, "namespace": "shop", "task_uuids": tasks});
        for (classifier, channel) in [
            (serving(&[]), TASK_STATE),
            (serving(&["shop"]), "tasker_task_state.shop"),
        ] {
            let Ok(Classified::Readiness(TaskReadinessEvent::TaskStateChange(event))) =
                classifier.classify(channel, &payload.to_string())
            else {
                panic!("{payload} is no change of states");
            };
            assert_eq!(event.task_state, state);
            assert_eq!(event.task_uuids, tasks);
        }
    }
}

#[test]
fn a_field_of_a_later_version_does_not_make_a_payload_malformed() {
    let event = task_ready(r#"{"triggered_by": "task_start", "mood": "good"}"#);
    assert_eq!(event.triggered_by, TriggeredBy::TaskStart);
}

fn classifying(
    notifications: Receiver<Received<ListenEvent>>,
    routes: Routes,
    wakeups: &Wakeups,
) -> Classifying {
    Classifying {
        notifications,
        routes,
        wakeups: wakeups.clone(),
        stop: CancellationToken::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_stays_full_turns_events_into_a_look() {
    let spec = |name| ChannelSpec {
        name,
        component: "test",
        capacity: 1,
    };
    let (readiness, _nobody_reads) = channel::bounded(spec("readiness"));
    let (orchestration, mut others) = channel::bounded(spec("orchestration"));
    let (notifications, inbox) = channel::bounded(ChannelSpec {
        name: "notifications",
        component: "test",
        capacity: 10,
    });
    let routes = Routes {
        classifier: serving(&[]),
        readiness,
        orchestration,
        retry: SendRetry {
            max_retries: 3,
            backoff: Duration::from_millis(50),
            attempt_timeout: Duration::from_secs(1),
        },
    };
    let wakeups = Wakeups::default();
    let received = |channel: &str, payload: &str| Received {
        what: ListenEvent::Notification {
            channel: channel.to_owned(),
            payload: payload.to_owned(),
        },
        at: tokio::time::Instant::now(),
    };
    let ready = r#"{"triggered_by": "task_start"}"#;
    for _ in 0..3 {
        notifications
            .send(received(TASK_READY, ready))
            .await
            .unwrap();
    }
    notifications.send(received(TIMER_SET, "{}")).await.unwrap();
    let mut classifying = classifying(inbox, routes, &wakeups);
    let classifier = classifying.run();
    let looks = async {
        assert_eq!(others.recv().await, Some(OrchestrationEvent::TimerSet));
        wakeups.ready_tasks().await;
    };

    tokio::select! {
        () = classifier => panic!("the classifier ended"),
        () = looks => {}
    }
}

/// How long the classifier tries to send to a full channel of readiness events before it has ready
/// tasks looked for instead.
async fn time_until_a_look(config: &TaskerConfig) -> Duration {
    let (readiness, _nobody_reads) = channels::readiness_events(config);
    let (orchestration, _others) = channels::orchestration_events(config);
    let (notifications, inbox) = channels::notifications(config);
    let room = readiness.capacity();
    let routes = Routes {
        classifier: serving(&[]),
        readiness,
        orchestration,
        retry: channels::readiness_retry(config),
    };
    let wakeups = Wakeups::default();
    let began = tokio::time::Instant::now();
    for _ in 0..=room {
        let what = ListenEvent::Notification {
            channel: TASK_READY.to_owned(),
            payload: r#"{"triggered_by": "task_start"}"#.to_owned(),
        };
        let at = began;
        notifications.send(Received { what, at }).await.unwrap();
    }
    let mut classifying = classifying(inbox, routes, &wakeups);
    tokio::select! {
        () = classifying.run() => panic!("the classifier ended"),
        () = wakeups.ready_tasks() => began.elapsed(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_is_waited_for_as_its_keys_say() {
    let waited = async |max_retries, backoff, send_timeout_ms| {
        let mut config = TaskerConfig::default();
        let retry = &mut config.event_systems.task_readiness.metadata.event_channel;
        retry.max_retries = max_retries;
        retry.backoff = Duration::from_millis(backoff);
        let channel = &mut config.mpsc_channels.task_readiness.event_channel;
        channel.send_timeout = Duration::from_millis(send_timeout_ms);
        time_until_a_look(&config).await.as_millis()
    };
    // Each time another key decides.
    assert_eq!(waited(0, 60_000, 700).await, 700);
    let retries = waited(4, 1, 10_000).await;
    assert!((50_000..50_020).contains(&retries), "{retries} ms");
    let backoff = waited(1, 10_000, 1).await;
    assert!((5_000..=10_005).contains(&backoff), "{backoff} ms");
}

#[tokio::test(start_paused = true)]
async fn readiness_events_that_wait_for_a_place_hold_no_others_up() {
    let spec = |name, capacity| ChannelSpec {
        name,
        component: "test",
        capacity,
    };
    let (readiness, _nobody_reads) = channel::bounded(spec("readiness", 1));
    let (orchestration, mut others) = channel::bounded(spec("orchestration", 1));
    let (notifications, inbox) = channel::bounded(spec("notifications", 10));
    let routes = Routes {
        classifier: serving(&[]),
        readiness,
        orchestration,
        retry: SendRetry {
            max_retries: 3,
            backoff: Duration::from_mins(10),
            attempt_timeout: Duration::from_mins(10),
        },
    };
    let wakeups = Wakeups::default();
    let received = |channel: &str| Received {
        what: ListenEvent::Notification {
            channel: channel.to_owned(),
            payload: r#"{"triggered_by": "task_start"}"#.to_owned(),
        },
        at: tokio::time::Instant::now(),
    };
    let mut classifying = classifying(inbox, routes, &wakeups);
    let began = tokio::time::Instant::now();
    let story = async {
        // The second finds no place; the channel of the others is full after the first of them.
        for channel in [TASK_READY, TASK_READY, TIMER_SET] {
            notifications.send(received(channel)).await.unwrap();
            while !notifications.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(others.recv().await, Some(OrchestrationEvent::TimerSet));
        for channel in [TIMER_SET, TIMER_SET, TASK_READY] {
            notifications.send(received(channel)).await.unwrap();
        }
        wakeups.timers().await;
        wakeups.ready_tasks().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    };

    tokio::select! {
        () = classifying.run() => panic!("the classifier ended"),
        () = story => {}
    }
}

#[test]
fn a_coalesced_event_names_its_first_task() {
    let task_uuid = TaskUuid(Uuid::from_u128(7 << 16));
    let command = crate::commands::OrchestrationCommand::from(event(task_uuid));
    assert!(matches!(
        command,
        crate::commands::OrchestrationCommand::ProcessTaskReadiness {
            task_uuid: Some(first),
            ..
        } if first == task_uuid
    ));
}
