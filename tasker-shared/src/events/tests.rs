//! Events, from their publisher to their subscribers.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    channel::{NotReceived, NotSent, Weighed},
    config::{
        DropPolicy, MpscChannelsConfig, SharedEventPublisherConfig, SharedFfiConfig,
        WorkerInProcessEventsConfig,
    },
    ids::{StepId, TaskUuid},
    state::{StepState, TaskState},
    telemetry::render_prometheus,
};

#[path = "../../tests/support/moves.rs"]
mod moves;

use moves::{StepEvent, TaskEvent, step_after, task_after};

fn queue_of(size: usize, drop_policy: DropPolicy) -> SharedEventPublisherConfig {
    SharedEventPublisherConfig {
        event_queue_buffer_size: size,
        drop_policy,
    }
}

fn event(moved: Moved) -> LifecycleEvent {
    LifecycleEvent {
        at: chrono::DateTime::UNIX_EPOCH,
        task_uuid: TaskUuid(Uuid::from_u128(0x1234_0000)),
        namespace: "shop".to_owned(),
        template: "shop/order@1.0.0".to_owned(),
        moved,
        actor: None,
        reason: None,
        error: None,
    }
}

fn step(attempt: i32, from: StepState, to: StepState) -> LifecycleEvent {
    event(Moved::Step {
        step_no: 2,
        name: "charge".to_owned(),
        attempt,
        from,
        to,
    })
}

fn task(from: Option<TaskState>, to: TaskState) -> LifecycleEvent {
    event(Moved::Task { from, to })
}

fn started(attempt: i32) -> LifecycleEvent {
    step(attempt, StepState::Enqueued, StepState::InProgress)
}

fn publisher(component: &'static str, config: &SharedEventPublisherConfig) -> EventPublisher {
    let subscribers = InProcessEvents::of_publisher(component, config);
    EventPublisher::start(component, config, subscribers)
}

#[tokio::test]
async fn what_is_published_reaches_every_subscriber_in_order() {
    let publisher = publisher("events_order", &queue_of(10, DropPolicy::DropNewest));
    let mut subscribers = [publisher.subscribe(), publisher.subscribe()];
    for attempt in 1..=3 {
        publisher.publish(started(attempt)).await;
    }
    drop(publisher);
    for subscriber in &mut subscribers {
        for attempt in 1..=3 {
            let event = subscriber.next().await.unwrap();
            assert_eq!(*event, started(attempt));
        }
        assert_eq!(subscriber.next().await, Err(NotReceived::Closed));
    }
}

/// On this runtime the loop does not run while events are published without a pause.
#[tokio::test]
async fn a_full_queue_drops_events_and_counts_them() {
    for (component, policy, kept, published) in [
        ("events_newest", DropPolicy::DropNewest, [1, 2], 2),
        ("events_oldest", DropPolicy::DropOldest, [4, 5], 5),
    ] {
        let room = WorkerInProcessEventsConfig {
            broadcast_buffer_size: 10,
        };
        let subscribers = InProcessEvents::of_worker(component, &room);
        let publisher = EventPublisher::start(component, &queue_of(2, policy), subscribers);
        let mut subscriber = publisher.subscribe();
        for attempt in 1..=5 {
            publisher.publish(started(attempt)).await;
        }
        for attempt in kept {
            let event = subscriber.next().await.unwrap();
            assert_eq!(*event, started(attempt));
        }
        assert_eq!(subscriber.next().await, Err(NotReceived::Lagged(3)));
        let labels = format!(r#"channel="lifecycle_events",component="{component}""#);
        let scraped = render_prometheus();
        for line in [
            format!("events_published_total{{{labels}}} {published}"),
            format!("events_dropped_total{{{labels}}} 3"),
        ] {
            assert!(
                scraped.lines().any(|one| one == line),
                "no {line} in\n{scraped}"
            );
        }
    }
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_many_events_it_missed() {
    let channels = MpscChannelsConfig::default();
    let capacity = channels.worker.in_process_events.broadcast_buffer_size;
    let events = InProcessEvents::of_worker("events_lag", &channels.worker.in_process_events);
    let mut slow = events.subscribe();
    let event = Arc::new(started(1));
    for _ in 0..capacity + 7 {
        events.publish(event.clone());
    }
    assert_eq!(slow.next().await, Err(NotReceived::Lagged(7)));
    assert_eq!(slow.next().await, Ok(event));
    let line = r#"events_dropped_total{channel="in_process_events",component="events_lag"} 7"#;
    assert!(render_prometheus().contains(line));
}

#[tokio::test]
async fn an_event_that_gives_way_to_the_news_of_a_loss_is_counted_as_dropped() {
    let room = WorkerInProcessEventsConfig {
        broadcast_buffer_size: 2,
    };
    let events = InProcessEvents::of_worker("events_give_way", &room);
    let _slow = events.subscribe();
    for attempt in 1..=2 {
        events.publish(Arc::new(started(attempt)));
    }
    events.tell_missed(5);
    let line = r#"events_dropped_total{channel="in_process_events",component="events_give_way"} 1"#;
    assert!(render_prometheus().contains(line));
}

#[tokio::test]
async fn what_could_not_be_published_is_told_too() {
    let publisher = publisher("events_missed", &queue_of(10, DropPolicy::DropNewest));
    assert!(!publisher.has_subscribers());
    let mut subscriber = publisher.subscribe();
    assert!(publisher.has_subscribers());
    publisher.missed(7);
    let dropped = r#"events_dropped_total{channel="lifecycle_events",component="events_missed"} 7"#;
    assert!(render_prometheus().contains(dropped));
    assert_eq!(subscriber.next().await, Err(NotReceived::Lagged(7)));
    let gauge =
        |value: u64| format!(r#"tasker_event_subscribers{{component="events_missed"}} {value}"#);
    assert!(render_prometheus().contains(&gauge(1)));
    drop(subscriber);
    assert!(render_prometheus().contains(&gauge(0)));
    assert!(!publisher.has_subscribers());
}

#[test]
fn an_event_is_written_with_what_it_is_about() {
    let written = |event: &LifecycleEvent| serde_json::to_value(event).unwrap();
    let submitted = task(None, TaskState::Pending);
    let task_uuid = submitted.task_uuid;
    assert_eq!(
        written(&submitted),
        json!({
            "event": "task_submitted",
            "at": "1970-01-01T00:00:00Z",
            "task_uuid": task_uuid,
            "namespace": "shop",
            "template": "shop/order@1.0.0",
            "to_state": "pending",
        })
    );
    let mut failed = step(3, StepState::InProgress, StepState::WaitingForRetry);
    failed.error = Some("timeout".to_owned());
    failed.actor = Some("worker-1".to_owned());
    let step_id = StepId {
        task_uuid,
        step_no: 2,
    };
    assert_eq!(
        written(&failed),
        json!({
            "event": "step_failed",
            "at": "1970-01-01T00:00:00Z",
            "task_uuid": task_uuid,
            "namespace": "shop",
            "template": "shop/order@1.0.0",
            "step": "charge",
            "step_uuid": step_id.step_uuid(),
            "attempt": 3,
            "from_state": "in_progress",
            "to_state": "waiting_for_retry",
            "retryable": true,
            "actor": "worker-1",
            "error": "timeout",
        })
    );
    let for_good = step(3, StepState::InProgress, StepState::Error);
    assert_eq!(written(&for_good)["retryable"], false);
}

#[test]
fn every_move_has_the_name_of_what_brought_it_about() {
    for state in StepState::ALL {
        for cause in StepEvent::ALL {
            let Some(to) = step_after(*state, *cause) else {
                continue;
            };
            let expected = match cause {
                StepEvent::Enqueue => "step_enqueued",
                StepEvent::Release => "step_released",
                StepEvent::Complete => "step_completed",
                StepEvent::Retry | StepEvent::Fail => "step_failed",
                StepEvent::Cancel => "step_cancelled",
                StepEvent::Rerun => "step_reopened",
                StepEvent::Skip => "step_skipped",
                StepEvent::Resolve => "step_resolved",
                // However it comes into a worker's hands.
                _ => "step_started",
            };
            assert_eq!(step(1, *state, to).occurrence().as_str(), expected);
        }
    }
    for state in TaskState::ALL {
        for cause in TaskEvent::ALL {
            let Some(to) = task_after(*state, *cause) else {
                continue;
            };
            let expected = match cause {
                TaskEvent::Start => "task_started",
                TaskEvent::Resume => "task_reopened",
                _ => "task_finished",
            };
            assert_eq!(task(Some(*state), to).occurrence().as_str(), expected);
        }
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for occurrence in Occurrence::ALL {
        assert_eq!(occurrence.as_str().parse(), Ok(*occurrence));
    }
    let error = "step_lost".parse::<Occurrence>().unwrap_err().to_string();
    assert!(error.starts_with("unknown event \"step_lost\", expected one of task_submitted, "));
}

#[derive(Debug, PartialEq)]
struct Call(Vec<u8>);

impl Weighed for Call {
    fn weight(&self) -> usize {
        self.0.len()
    }
}

#[tokio::test]
async fn the_queue_for_another_language_hands_back_what_it_cannot_take() {
    let config = SharedFfiConfig {
        ruby_event_buffer_size: 3,
        ruby_event_buffer_bytes: 1024,
    };
    let (sender, mut receiver) = ffi_queue(&config);
    sender.send(Call(vec![0; 1000])).unwrap();
    let error = sender.send(Call(vec![1; 100])).unwrap_err();
    assert!(matches!(&error, NotSent::Full(Call(bytes)) if bytes.len() == 100));
    assert_eq!(error.to_string(), "the channel is full");
    sender.clone().send(Call(Vec::new())).unwrap();
    sender.send(Call(Vec::new())).unwrap();
    assert!(matches!(
        sender.send(Call(Vec::new())),
        Err(NotSent::Full(_))
    ));
    assert_eq!(receiver.recv().await.unwrap().0.len(), 1000);
    drop(receiver);
    assert!(matches!(
        sender.send(Call(Vec::new())),
        Err(NotSent::Closed(_))
    ));
}
