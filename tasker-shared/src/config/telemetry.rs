//! Logs.

use garde::Validate;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::check;

/// Logs.
#[derive(Debug, Clone, PartialEq, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// For people or for log collectors.
    #[garde(skip)]
    pub log_format: LogFormat,
    /// A level, or levels per target.
    #[garde(custom(check::log_filter))]
    pub log_filter: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
