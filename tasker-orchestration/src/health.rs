//! What an orchestrator reports about itself to monitoring.

use std::time::Duration;

use tasker_shared::supervisor::ComponentHealth;

/// The state of an orchestrator at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrchestratorHealth {
    /// How ready tasks are found.
    pub mode: &'static str,
    /// Its loops, in the order in which they are stopped.
    pub components: Vec<ComponentHealth>,
    /// Whether notifications are being listened for; absent in a mode that does not listen.
    pub listener_connected: Option<bool>,
    /// Milliseconds since the database last answered a loop; absent before the first answer.
    pub last_database_answer_ms: Option<u64>,
}

impl OrchestratorHealth {
    /// Whether every loop runs and its calls work, the listener listens, and the database has
    /// answered.
    pub fn is_healthy(&self) -> bool {
        self.components.iter().all(ComponentHealth::is_healthy)
            && self.listener_connected != Some(false)
            && self.last_database_answer_ms.is_some()
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
