//! What is measured, as Prometheus and a collector see it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use futures::FutureExt;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{HistogramDataPoint, metric::Data},
};
use prost::Message;

use super::*;
use crate::channel::{self, ChannelSpec, WAIT_BOUNDS_SECONDS};
use crate::processes::StepsWithoutWorker;

mod alerts;
mod deploy;
mod gauges;
mod queries;

const MS: Duration = Duration::from_millis(1);

fn pipeline() -> Pipeline {
    Pipeline::new(SdkMeterProvider::builder())
}

fn without_worker(handler: &str, steps: i32) -> StepsWithoutWorker {
    StepsWithoutWorker {
        namespace: "shop".to_owned(),
        handler: handler.to_owned(),
        steps,
    }
}

fn record_everything(metrics: &Metrics) {
    metrics.tasks_submitted("shop", 3);
    metrics.tasks_enqueued_on_submission(2);
    metrics.steps_enqueued_on_completion(4);
    metrics.tasks_finished("finished", 2);
    metrics.steps_claimed("shop", 7);
    metrics.claimed(7, MS);
    metrics.ready_to_claimed(MS);
    metrics.steps_without_worker(&[without_worker("late.one", 3)]);
    metrics.database_gauges(gauges::some());
    metrics.processes_lost("worker", 2);
    metrics.namespace_served("shop");
    metrics.step_failed("shop", "retries_exhausted");
    metrics.timers_fired(4);
    metrics.readiness_event_received("task_ready");
    metrics.successor_enqueued(MS);
    metrics.step_continued(MS);
    metrics.readiness_command_sent();
    metrics.readiness_latency(MS);
    metrics.fallback_polled(5);
    metrics.tasks_ready(11);
    metrics.task_discovered_by_polling(MS);
    metrics.notifications_sent("task_ready", 12);
    metrics.steps_received(7);
    metrics.step_ran("orders.validate", MS);
    metrics.step_outcomes("complete", 6);
    metrics.stale_outcomes(1);
    metrics.samples_written(1);
    metrics.samples_dropped("buffer_full", 1);
    metrics.tasks_pruned("shop", "complete", 4);
    metrics.running_steps_changed(3);
    metrics.running_steps_changed(-1);
    metrics.concurrency_changed(100);
    metrics.messages_archived(8);
    metrics.steps_locked(9);
    metrics.outcomes_waiting_changed(2);
    metrics.steps_released(9);
    metrics.leases_lost("stale", 1);
    metrics.events_published("lifecycle_events", "worker", 3);
    metrics.events_dropped("lifecycle_events", "worker", 2);
    metrics.event_subscribers_changed("web", 1);
    metrics.woke("claims", "command");
    metrics.supervised_restart("listener");
    metrics.database_call("claim_ready_tasks", MS, true);
    metrics.listener_connected("task_readiness");
    metrics.notification("tasker_task_ready");
    metrics.notification("pgmq.q_worker_shop_queue.INSERT");
    metrics.http_request("GET", "/v1/tasks/{uuid}", 200, MS);
    metrics.http_request("BREW", "/v1/tasks", 405, MS);
}

#[test]
fn what_is_recorded_is_scraped_under_its_exact_name() {
    let pipeline = pipeline();
    record_everything(&pipeline.metrics);
    let text = pipeline.render();
    for line in [
        r#"tasker_tasks_submitted_total{namespace="shop"} 3"#,
        "tasker_tasks_enqueued_on_submission_total 2",
        "tasker_steps_enqueued_on_completion_total 4",
        r#"tasker_tasks_finished_total{state="finished"} 2"#,
        r#"tasker_steps_claimed_total{namespace="shop"} 7"#,
        "tasker_claim_duration_seconds_count 1",
        "tasker_claim_batch_steps_sum 7",
        "tasker_ready_to_claimed_seconds_count 1",
        r#"tasker_steps_without_worker{handler="late.one",namespace="shop"} 3"#,
        r#"tasker_processes_lost_total{role="worker"} 2"#,
        r#"tasker_steps_failed_total{namespace="shop",reason="permanent"} 0"#,
        r#"tasker_steps_failed_total{namespace="shop",reason="retries_exhausted"} 1"#,
        "tasker_timers_fired_total 4",
        r#"task_readiness_events_received{type="task_ready"} 1"#,
        "task_readiness_command_sent 1",
        "task_readiness_latency_sum 0.001",
        "fallback_polls_executed 1",
        "fallback_tasks_found 5",
        "tasker_steps_received_total 7",
        r#"tasker_step_duration_seconds_count{handler="orders.validate"} 1"#,
        r#"tasker_step_outcomes_total{outcome="complete"} 6"#,
        "tasker_stale_outcomes_total 1",
        "tasker_outcomes_waiting 2",
        "tasker_worker_running_steps 2",
        "tasker_worker_concurrency 100",
        "tasks_ready 11",
        "tasks_discovered_by_polling 1",
        "tasker_readiness_discovery_lag_seconds_count 1",
        r#"tasker_notifications_sent_total{channel="task_ready"} 12"#,
        "tasker_messages_archived_total 8",
        "tasker_claim_steps_locked_total 9",
        "tasker_steps_released_total 9",
        r#"tasker_leases_lost_total{reason="stale"} 1"#,
        r#"events_published_total{channel="lifecycle_events",component="worker"} 3"#,
        r#"events_dropped_total{channel="lifecycle_events",component="worker"} 2"#,
        r#"tasker_event_subscribers{component="web"} 1"#,
        r#"tasker_wakeups_total{loop="claims",reason="command"} 1"#,
        r#"tasker_supervised_restarts_total{name="listener"} 1"#,
        r#"tasker_database_calls_total{call="claim_ready_tasks",result="ok"} 1"#,
        r#"tasker_database_call_seconds_count{call="claim_ready_tasks"} 1"#,
        r#"tasker_listener_connections_total{listener="task_readiness"} 1"#,
        r#"tasker_notifications_total{channel="tasker_task_ready"} 1"#,
        r#"tasker_notifications_total{channel="pgmq"} 1"#,
        r#"tasker_http_requests_total{method="GET",route="/v1/tasks/{uuid}",status="200"} 1"#,
        r#"tasker_http_requests_total{method="other",route="/v1/tasks",status="405"} 1"#,
        r#"tasker_http_request_seconds_count{method="GET",route="/v1/tasks/{uuid}"} 1"#,
    ] {
        assert!(
            text.lines().any(|scraped| scraped == line),
            "no line {line:?} in\n{text}"
        );
    }
}

#[test]
fn steps_without_a_worker_are_those_of_the_last_look() {
    let pipeline = pipeline();
    let shown = || {
        let text = pipeline.render();
        let lines = text.lines();
        let lines = lines.filter(|line| line.starts_with("tasker_steps_without_worker{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    pipeline
        .metrics
        .steps_without_worker(&[without_worker("gone", 1)]);
    assert_eq!(shown().len(), 1);

    let many: Vec<_> = (0..1_000)
        .map(|number| without_worker(&format!("late.{number}"), 2))
        .collect();
    pipeline.metrics.steps_without_worker(&many);

    let series = shown();
    assert_eq!(series.len(), 201, "200, and one for the others");
    assert!(!series.iter().any(|line| line.contains("gone")));
    let others = r#"tasker_steps_without_worker{handler="other",namespace="shop"} 1600"#;
    assert!(series.iter().any(|line| line == others), "{series:#?}");
    pipeline.metrics.steps_without_worker(&[]);
    assert!(shown().is_empty());
}

#[test]
fn a_time_below_a_millisecond_has_a_bucket_of_its_own() {
    let pipeline = pipeline();
    pipeline.metrics.claimed(1, Duration::from_micros(300));
    let text = pipeline.render();
    assert!(
        text.contains(r#"tasker_claim_duration_seconds_bucket{le="0.00025"} 0"#),
        "{text}"
    );
    assert!(
        text.contains(r#"tasker_claim_duration_seconds_bucket{le="0.0005"} 1"#),
        "{text}"
    );
}

#[test]
fn a_counter_without_labels_is_scraped_before_it_counts() {
    assert!(
        pipeline()
            .render()
            .contains("tasker_stale_outcomes_total 0\n")
    );
}

#[test]
fn a_channel_is_scraped_while_it_is_open_and_its_counters_stay() {
    let pipeline = pipeline();
    let spec = ChannelSpec {
        name: "scraped",
        component: "telemetry_tests",
        capacity: 4,
    };
    let labels = r#"channel="scraped",component="telemetry_tests""#;
    let (sender, mut receiver) = channel::bounded(spec);
    for message in 0..4 {
        sender.try_send(message).unwrap();
    }
    sender.try_send(4).unwrap_err();
    assert!(sender.send(5).now_or_never().is_none());
    receiver.try_recv().unwrap();

    let text = pipeline.render();
    for line in [
        format!("mpsc_channel_usage_percent{{{labels}}} 75"),
        format!("mpsc_channel_capacity{{{labels}}} 4"),
        format!("mpsc_messages_sent_total{{{labels}}} 4"),
        format!("mpsc_messages_received_total{{{labels}}} 1"),
        format!(r#"mpsc_channel_full_events_total{{action="blocked",{labels}}} 1"#),
        format!(r#"mpsc_channel_full_events_total{{action="dropped",{labels}}} 0"#),
        format!(r#"mpsc_send_failures_total{{{labels},error="full"}} 1"#),
        format!("mpsc_channel_saturation{{{labels}}} 1"),
        "# TYPE mpsc_channel_blocked_send_seconds histogram".to_owned(),
        format!(r#"mpsc_channel_blocked_send_seconds_bucket{{{labels},le="60"}} 1"#),
        format!(r#"mpsc_channel_blocked_send_seconds_bucket{{{labels},le="+Inf"}} 1"#),
        format!("mpsc_channel_blocked_send_seconds_count{{{labels}}} 1"),
    ] {
        assert!(
            text.lines().any(|scraped| scraped == line),
            "no line {line:?} in\n{text}"
        );
    }

    drop(receiver);
    let text = pipeline.render();
    assert!(
        !text.contains(&format!("mpsc_channel_usage_percent{{{labels}}}")),
        "{text}"
    );
    assert!(
        text.contains(&format!("mpsc_messages_sent_total{{{labels}}} 4")),
        "{text}"
    );
    let waits = format!("mpsc_channel_blocked_send_seconds_count{{{labels}}} 1");
    assert!(text.contains(&waits), "a wait is recorded once: {text}");
}

#[tokio::test(start_paused = true)]
async fn the_histogram_of_waits_has_their_number_and_sum_over_all_scrapes() {
    let pipeline = pipeline();
    let labels = r#"channel="waited_for",component="telemetry_tests""#;
    let (sender, mut receiver) = channel::bounded(ChannelSpec {
        name: "waited_for",
        component: "telemetry_tests",
        capacity: 1,
    });
    sender.try_send(0).unwrap();
    for (round, seconds) in [2, 4, 30].into_iter().enumerate() {
        let wait = Duration::from_secs(seconds);
        let mut sending = sender.send(1).boxed();
        assert!((&mut sending).now_or_never().is_none());
        tokio::time::advance(wait).await;
        receiver.try_recv().unwrap();
        sending.await.unwrap();
        match round {
            0 => drop(pipeline.render()),
            1 => pipeline.waits.record(),
            _ => {}
        }
    }
    let text = pipeline.render();
    for line in [
        format!(r#"mpsc_channel_blocked_send_seconds_bucket{{{labels},le="1"}} 0"#),
        format!(r#"mpsc_channel_blocked_send_seconds_bucket{{{labels},le="10"}} 2"#),
        format!(r#"mpsc_channel_blocked_send_seconds_bucket{{{labels},le="60"}} 3"#),
        format!("mpsc_channel_blocked_send_seconds_sum{{{labels}}} 36"),
        format!("mpsc_channel_blocked_send_seconds_count{{{labels}}} 3"),
    ] {
        assert!(
            text.lines().any(|scraped| scraped == line),
            "no line {line:?} in\n{text}"
        );
    }
}

#[test]
fn the_process_has_one_pipeline() {
    metrics().messages_archived(1);
    assert!(!render_prometheus().contains("tasker_messages_archived_total 0\n"));
}

/// Takes one HTTP request and gives its first line and its body.
fn collect_one(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut connection, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    (head.remove(0), body)
}

/// A channel in which one send has waited.
fn channel_with_a_wait(name: &'static str) -> (channel::Sender<()>, channel::Receiver<()>) {
    let ends = channel::bounded(ChannelSpec {
        name,
        component: "telemetry_tests",
        capacity: 1,
    });
    ends.0.try_send(()).unwrap();
    assert!(ends.0.send(()).now_or_never().is_none());
    ends
}

/// The waits of a channel as a collector gets them.
fn waits_of(message: &ExportMetricsServiceRequest, channel: &str) -> HistogramDataPoint {
    let scopes = message.resource_metrics.iter();
    let mut metrics = scopes
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics);
    let waits = metrics
        .find(|metric| metric.name == "mpsc_channel_blocked_send_seconds")
        .unwrap();
    let Some(Data::Histogram(histogram)) = &waits.data else {
        panic!("no histogram: {waits:?}");
    };
    let mut points = histogram.data_points.iter();
    let of_channel =
        |point: &&HistogramDataPoint| format!("{:?}", point.attributes).contains(channel);
    points.find(of_channel).unwrap().clone()
}

/// Within a runtime, as roles do it.
#[tokio::test]
async fn a_collector_receives_the_same_metrics() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let collector = thread::spawn(move || collect_one(&listener));
    let hour = Duration::from_hours(1);
    let reader = otlp::reader(&endpoint, hour).unwrap();
    let pipeline = Pipeline::new(SdkMeterProvider::builder().with_reader(reader));
    record_everything(&pipeline.metrics);
    let _ends = channel_with_a_wait("collected");
    let scraped = pipeline.render();
    assert!(scraped.contains("mpsc_channel_capacity"), "{scraped}");
    let provider = pipeline.provider.clone();
    tokio::task::spawn_blocking(move || provider.shutdown())
        .await
        .unwrap()
        .unwrap();

    let (request, body) = collector.join().unwrap();
    assert_eq!(request, "post /v1/metrics http/1.1");
    let message = ExportMetricsServiceRequest::decode(&*body).unwrap();
    let point = waits_of(&message, "collected");
    assert_eq!((point.count, point.max), (1, None), "{point:?}");
    assert_eq!(point.explicit_bounds, WAIT_BOUNDS_SECONDS, "{point:?}");
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 1, "{point:?}");
    let body = String::from_utf8_lossy(&body);
    for part in [
        "mpsc_channel_usage_percent",
        "mpsc_channel_saturation",
        "mpsc_channel_full_events_total",
        "collected",
        "telemetry_tests",
        "events_dropped_total",
        "tasker_tasks_submitted_total",
        "tasker_tasks_enqueued_on_submission_total",
    ] {
        assert!(body.contains(part), "no {part} was sent");
    }
}

#[test]
fn without_a_collector_there_is_nothing_to_set_up() {
    let config = TelemetryConfig::default();
    assert_eq!(config.otlp_endpoint(), None);
    let rarely = OverflowMetricsConfig {
        enabled: true,
        saturation_check_interval: Duration::from_hours(1),
    };
    init_metrics(&config, "test", &rarely).unwrap();
}
