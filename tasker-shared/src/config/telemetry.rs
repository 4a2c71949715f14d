//! Logs, and where metrics are sent.

use serde::{Deserialize, Deserializer, Serialize};
use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::check::{checked, expect};

/// Logs, and where metrics are sent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// For people or for log collectors.
    pub log_format: LogFormat,
    /// A level, or levels per target.
    #[serde(deserialize_with = "log_filter")]
    pub log_filter: String,
    /// The address of an OpenTelemetry collector, or nothing.
    #[serde(deserialize_with = "otlp_endpoint")]
    pub otlp_endpoint: String,
}

impl TelemetryConfig {
    /// The address of an OpenTelemetry collector, if metrics are to be sent there.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        Some(self.otlp_endpoint.as_str()).filter(|endpoint| !endpoint.is_empty())
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The filter that `text` describes.
pub(crate) fn parse_filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(text)
}

/// A filter that `tracing` understands.
fn log_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |filter: &String| {
        let read = parse_filter(filter).map(drop);
        read.map_err(|error| format!("expected a level or levels per target: {error}"))
    })
}

/// Nothing, or an address that requests can be sent to.
fn otlp_endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |address: &String| {
        let is_usable = reqwest::Url::parse(address)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        expect(
            address.is_empty() || is_usable,
            "expected the address of a collector, such as http://localhost:4318, or nothing",
        )
    })
}
