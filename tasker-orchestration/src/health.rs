//! What an orchestrator reports about itself to monitoring.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tasker_shared::outage::OutageWatch;
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

/// When the database last answered a loop of one orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    started: Instant,
    /// Milliseconds from `started` to the last answer, plus one; 0 before the first.
    last_answer: Arc<AtomicU64>,
    /// The failures of each loop that makes calls; they outlive a restart of the loop.
    outages: Arc<Mutex<BTreeMap<&'static str, OutageWatch>>>,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last_answer: Arc::default(),
            outages: Arc::default(),
        }
    }

    pub(crate) fn database_answered(&self) {
        self.last_answer
            .store(milliseconds(self.started.elapsed()) + 1, Relaxed);
    }

    /// The failures of the component of this name.
    pub(crate) fn outage_of(&self, component: &'static str) -> OutageWatch {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.entry(component).or_default().clone()
    }

    pub(crate) fn last_database_answer_ms(&self) -> Option<u64> {
        let answered = self.last_answer.load(Relaxed).checked_sub(1)?;
        Some(milliseconds(self.started.elapsed()).saturating_sub(answered))
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
