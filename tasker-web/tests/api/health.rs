//! Health of the process.

use std::sync::Arc;

use serde_json::json;
use tasker_shared::config::TaskerConfig;
use tasker_testing::TestDatabase;
use tasker_web::{ComponentHealth, Probes};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, Api};

#[tokio::test]
async fn a_process_that_runs_is_live_and_ready() {
    let api = Api::start().await;
    assert_eq!(api.get("/health/live").await.expect(200)["status"], "live");
    let ready = api.get("/health/ready").await.expect(200);
    assert_eq!(ready["status"], "ready");
    let checks = ready["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| &check["name"]).collect();
    assert_eq!(
        names,
        [
            "database",
            "schema",
            "task_waiter",
            "submitter",
            "event_feed",
            "channels"
        ]
    );
}

#[tokio::test]
async fn a_component_that_does_not_work_makes_the_process_not_ready() {
    let database = TestDatabase::create().await;
    let components = vec![
        ComponentHealth {
            name: "orchestrator".to_owned(),
            healthy: false,
            detail: Some("its loop ended".to_owned()),
        },
        ComponentHealth {
            name: "worker".to_owned(),
            healthy: true,
            detail: None,
        },
    ];
    let api = Api::on(database.url(), |_| {}, components).await;
    let ready = api.get("/health/ready").await.expect(503);
    assert_eq!(ready["status"], "not_ready");
    let checks = ready["checks"].as_array().unwrap();
    assert!(
        checks.contains(
            &json!({"name": "orchestrator", "healthy": false, "detail": "its loop ended"})
        )
    );
    assert!(checks.contains(&json!({"name": "worker", "healthy": true, "detail": null})));
}

#[tokio::test]
async fn a_database_without_the_schema_makes_the_process_not_ready() {
    let database = TestDatabase::empty().await;
    let api = Api::on(database.url(), |_| {}, Vec::new()).await;
    let ready = api.get("/health/ready").await.expect(503);
    let checks = ready["checks"].as_array().unwrap();
    assert_eq!(
        checks[0],
        json!({"name": "database", "healthy": true, "detail": null})
    );
    assert_eq!(checks[1]["name"], "schema");
    assert_eq!(checks[1]["healthy"], false);
    assert!(
        checks[1]["detail"]
            .as_str()
            .unwrap()
            .contains("tasker migrate")
    );

    let problem = api.get("/v1/tasks").await.problem(503, "unavailable");
    assert_eq!(problem["hint"], "run `tasker migrate`");
}

#[tokio::test]
async fn channels_are_shown_with_what_they_hold() {
    use tasker_shared::channel::{ChannelSpec, bounded};
    let api = Api::start().await;
    let (sender, receiver) = bounded(ChannelSpec {
        name: "shown",
        component: "health_test",
        capacity: 4,
    });
    sender.try_send(()).unwrap();

    let health = api.get("/health/channels").await.expect(200);
    let channels = health["channels"].as_array().unwrap();
    let shown = channels
        .iter()
        .find(|channel| channel["name"] == "shown")
        .unwrap();
    assert_eq!((&shown["len"], &shown["capacity"]), (&json!(1), &json!(4)));

    for _ in 0..3 {
        sender.try_send(()).unwrap();
    }
    let ready = api.get("/health/ready").await.expect(200);
    let checks = ready["checks"].as_array().unwrap();
    let told = checks.iter().find(|check| check["name"] == "channels");
    let detail = told.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("channel health_test/shown holds 4 of 4"));
    let health = api.get("/health/channels").await.expect(200);
    assert_eq!(health["status"], "Degraded");
    let warning = "channel health_test/shown holds 4 of 4 messages";
    assert!(
        health["warnings"]
            .as_array()
            .unwrap()
            .contains(&json!(warning))
    );
    drop(receiver);
}

#[tokio::test]
async fn a_channel_is_warned_of_from_the_configured_threshold_on() {
    use tasker_shared::channel::{ChannelSpec, bounded};
    let api = Api::configured(|config| {
        config.mpsc_channels.overflow_policy.log_warning_threshold = 0.3;
    })
    .await;
    let (sender, _receiver) = bounded(ChannelSpec {
        name: "below_and_above",
        component: "health_test",
        capacity: 10,
    });
    let is_warned_of = async || {
        let health = api.get("/health/channels").await.expect(200);
        let warnings = health["warnings"].as_array().cloned().unwrap_or_default();
        let name = "channel health_test/below_and_above ";
        warnings
            .iter()
            .any(|it| it.as_str().unwrap().starts_with(name))
    };
    for _ in 0..2 {
        sender.try_send(()).unwrap();
    }
    assert!(!is_warned_of().await);
    sender.try_send(()).unwrap();
    assert!(is_warned_of().await);
}

#[tokio::test]
async fn metrics_are_in_the_format_that_prometheus_reads() {
    let api = Api::start().await;
    api.get("/health/live").await.expect(200);
    let metrics = api.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        metrics
            .text
            .contains("# TYPE tasker_http_requests_total counter")
    );
}

#[tokio::test]
async fn a_process_without_the_api_serves_its_probes_alone() {
    let api = Api::start().await;
    let components = vec![ComponentHealth {
        name: "worker".to_owned(),
        healthy: true,
        detail: None,
    }];
    let components = Arc::new(move || components.clone());
    let probes = Probes::new(api.database.clone(), &TaskerConfig::default(), components);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(tasker_web::serve_probes(listener, probes, shutdown.clone()));
    let get = |path: &str| Answer::of(api.client.get(format!("{base}{path}")));

    let ready = get("/health/ready").await.expect(200);
    assert_eq!(ready["checks"][2]["name"], "worker");
    assert_eq!(get("/metrics").await.status, 200);
    get("/v1/tasks").await.problem(404, "unknown-route");

    shutdown.cancel();
    server.await.unwrap().unwrap();
}
