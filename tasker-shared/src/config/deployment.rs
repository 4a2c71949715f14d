//! Deployment modes: whether a process listens for notifications, polls, or does both.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The section `deployment` of the orchestrator or the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentConfig {
    /// Whether the process listens for notifications, polls, or does both.
    pub mode: DeploymentMode,
}

/// Whether a process listens for notifications, polls, or does both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub enum DeploymentMode {
    /// Notifications alone.
    EventDrivenOnly,
    /// Notifications, and polling for what a lost notification would leave behind.
    Hybrid,
    /// Polling alone.
    PollingOnly,
}

/// A text that names no deployment mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown deployment mode {0:?}: expected EventDrivenOnly, Hybrid or PollingOnly")]
pub struct UnknownDeploymentMode(String);

impl DeploymentMode {
    /// The name, as it is written in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventDrivenOnly => "EventDrivenOnly",
            Self::Hybrid => "Hybrid",
            Self::PollingOnly => "PollingOnly",
        }
    }

    /// Whether the process listens for notifications.
    pub const fn listens(self) -> bool {
        matches!(self, Self::EventDrivenOnly | Self::Hybrid)
    }

    /// Whether the process polls.
    pub const fn polls(self) -> bool {
        matches!(self, Self::PollingOnly | Self::Hybrid)
    }
}

impl fmt::Display for DeploymentMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeploymentMode {
    type Err = UnknownDeploymentMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::EventDrivenOnly, Self::Hybrid, Self::PollingOnly]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownDeploymentMode(text.to_owned()))
    }
}

impl TryFrom<String> for DeploymentMode {
    type Error = UnknownDeploymentMode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_three_modes_are_accepted() {
        for name in ["EventDrivenOnly", "Hybrid", "PollingOnly"] {
            assert_eq!(name.parse::<DeploymentMode>().unwrap().to_string(), name);
        }
        for name in ["hybrid", "Hybrid ", "event_driven_only", ""] {
            let error = name.parse::<DeploymentMode>().unwrap_err().to_string();
            assert!(
                error.contains("EventDrivenOnly, Hybrid or PollingOnly"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_mode_listens_or_polls() {
        use DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
        assert_eq!(
            [EventDrivenOnly, Hybrid, PollingOnly].map(DeploymentMode::listens),
            [true, true, false]
        );
        assert_eq!(
            [EventDrivenOnly, Hybrid, PollingOnly].map(DeploymentMode::polls),
            [false, true, true]
        );
    }
}
