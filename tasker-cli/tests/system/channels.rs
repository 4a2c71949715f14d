//! What a process tells of its channels, and the configuration that makes them small.

use serde::Deserialize;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use super::world::{Role, http};

const BASE: &str = include_str!("../../../config/tasker/base/mpsc_channels.toml");

/// What `/health/channels` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct ChannelHealth {
    pub(crate) status: String,
    pub(crate) warnings: Vec<String>,
}

impl ChannelHealth {
    /// Whether there is a warning of a channel, written as `component/name`.
    pub(crate) fn warns_of(&self, channel: &str) -> bool {
        let warning = format!("channel {channel} holds ");
        self.warnings.iter().any(|text| text.starts_with(&warning))
    }
}

/// What a process tells of its channels.
pub(crate) async fn health(role: &Role) -> ChannelHealth {
    let url = format!("{}/health/channels", role.address);
    http().get(url).send().await.unwrap().json().await.unwrap()
}

/// Waits until no channel of the process is filling up.
pub(crate) async fn wait_until_healthy(role: &Role) {
    wait_until("all channels are healthy", WAIT_TIMEOUT, async || {
        health(role).await.status == "Healthy"
    })
    .await;
}

/// The value of each series of a metric whose labels contain all of `labels`.
pub(crate) async fn series(role: &Role, name: &str, labels: &[&str]) -> Vec<f64> {
    let url = format!("{}/metrics", role.address);
    let text = http().get(url).send().await.unwrap().text().await.unwrap();
    let wanted = |series: &str| {
        series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label))
    };
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(series, _)| wanted(series))
        .map(|(_, value)| value.parse().unwrap())
        .collect()
}

/// How often senders have found channels full and waited.
pub(crate) async fn blocked_sends(role: &Role) -> f64 {
    let name = "mpsc_channel_full_events_total";
    let series = series(role, name, &[r#"action="blocked""#]).await;
    assert!(!series.is_empty(), "{name} is not scraped");
    series.into_iter().sum()
}

/// The variables that give all channels room for so many messages and bytes.
pub(crate) fn holding(messages: &'static str, bytes: &'static str) -> Vec<(String, &'static str)> {
    let mut section = "";
    let mut variables = Vec::new();
    for line in BASE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let key = line.split(" =").next().unwrap_or_default();
        let value = match key.rsplit('_').next() {
            Some("size") => messages,
            Some("bytes") => bytes,
            _ => continue,
        };
        let variable = format!("TASKER__{section}__{key}").replace('.', "__");
        variables.push((variable.to_uppercase(), value));
    }
    assert!(variables.len() > 15, "{variables:?}");
    variables
}

/// Variables as processes take them.
pub(crate) fn borrowed<'a>(variables: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let variables = variables.iter();
    variables.map(|(name, value)| (&**name, *value)).collect()
}
