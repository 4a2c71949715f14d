//! Channels appear among the metrics, or not, as the configuration says. A process of its own, because
//! that is said once for a process.
#![allow(missing_docs, clippy::unwrap_used)]

use tasker_shared::channel::{self, ChannelHealthStatus, ChannelSpec, registry};
use tasker_shared::config::OverflowPolicyConfig;
use tasker_shared::telemetry::{metrics, render_prometheus};

fn policy(enabled: bool) -> OverflowPolicyConfig {
    let mut policy = OverflowPolicyConfig::default();
    policy.metrics.enabled = enabled;
    policy
}

#[test]
fn channels_are_among_the_metrics_where_that_is_enabled() {
    let (sender, _receiver) = channel::bounded(ChannelSpec {
        name: "some",
        component: "test",
        capacity: 1,
    });
    sender.try_send(1).unwrap();
    metrics().timers_fired(1);

    channel::configure(&policy(false));
    let scraped = render_prometheus();
    assert!(!scraped.contains("mpsc_"), "{scraped}");
    assert!(scraped.contains("tasker_timers_fired_total 1"), "{scraped}");
    // What is measured remains for /health/channels.
    let health = registry::check_channel_health(0.8);
    assert!(matches!(health, ChannelHealthStatus::Degraded { .. }));

    channel::configure(&policy(true));
    let scraped = render_prometheus();
    let sent = r#"mpsc_messages_sent_total{channel="some",component="test"} 1"#;
    assert!(scraped.contains(sent), "{scraped}");
}
