//! Events, from their publisher to their subscribers.

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    channel::{NotReceived, NotSent, Weighed},
    config::{DropPolicy, MpscChannelsConfig, SharedEventPublisherConfig, SharedFfiConfig},
    ids::{StepId, TaskUuid},
    state::TaskState,
    telemetry::render_prometheus,
};

fn queue_of(size: usize, drop_policy: DropPolicy) -> SharedEventPublisherConfig {
    SharedEventPublisherConfig {
        event_queue_buffer_size: size,
        drop_policy,
    }
}

fn started(step_no: i32) -> Occurrence {
    let task_uuid = TaskUuid(Uuid::nil());
    let step = StepId { task_uuid, step_no };
    Occurrence::StepStarted { step, attempt: 1 }
}

fn publisher(component: &'static str, config: &SharedEventPublisherConfig) -> EventPublisher {
    let subscribers = InProcessEvents::of_publisher(component, config);
    EventPublisher::start(component, config, subscribers)
}

#[tokio::test]
async fn what_is_published_reaches_every_subscriber_in_order() {
    let publisher = publisher("events_order", &queue_of(10, DropPolicy::DropNewest));
    let mut subscribers = [publisher.subscribe(), publisher.subscribe()];
    for step_no in 1..=3 {
        publisher.publish(started(step_no)).await;
    }
    drop(publisher);
    for subscriber in &mut subscribers {
        for step_no in 1..=3 {
            let event = subscriber.next().await.unwrap();
            assert_eq!(event.occurrence, started(step_no));
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
        let config = queue_of(2, policy);
        let publisher = publisher(component, &config);
        let mut subscriber = publisher.subscribe();
        for step_no in 1..=5 {
            publisher.publish(started(step_no)).await;
        }
        for step_no in kept {
            let event = subscriber.next().await.unwrap();
            assert_eq!(event.occurrence, started(step_no));
        }
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
    let event = std::sync::Arc::new(LifecycleEvent::now(started(1)));
    for _ in 0..capacity + 7 {
        events.publish(event.clone());
    }
    assert_eq!(slow.next().await, Err(NotReceived::Lagged(7)));
    assert_eq!(slow.next().await, Ok(event));
    assert_eq!(events.monitor().status().dropped_total, 7);
    let line = r#"events_dropped_total{channel="in_process_events",component="events_lag"} 7"#;
    assert!(render_prometheus().contains(line));
}

#[test]
fn an_event_is_written_with_what_it_is_about() {
    let task = TaskUuid(Uuid::from_u128(0x1234_0000));
    let step = StepId {
        task_uuid: task,
        step_no: 2,
    };
    let written = |occurrence| {
        let mut json = serde_json::to_value(LifecycleEvent::now(occurrence)).unwrap();
        assert!(json.as_object_mut().unwrap().remove("at").is_some());
        json
    };
    assert_eq!(
        written(Occurrence::TaskFinished {
            task,
            state: TaskState::Complete
        }),
        json!({ "event": "task_finished", "task_uuid": task, "state": "complete" })
    );
    assert_eq!(
        written(Occurrence::TaskSubmitted {
            task,
            namespace: "shop".to_owned()
        }),
        json!({ "event": "task_submitted", "task_uuid": task, "namespace": "shop" })
    );
    assert_eq!(
        written(Occurrence::StepFailed {
            step,
            attempt: 3,
            error: "timeout".to_owned(),
            retryable: true
        }),
        json!({
            "event": "step_failed",
            "task_uuid": task,
            "step_uuid": step.step_uuid(),
            "attempt": 3,
            "error": "timeout",
            "retryable": true,
        })
    );
    let completed = written(Occurrence::StepCompleted { step, attempt: 1 });
    assert_eq!(completed["event"], "step_completed");
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
