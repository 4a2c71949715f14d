//! The short way of a submission: the orchestrator in the same process has its first steps enqueued by
//! the transaction that submits it.
//!
//! Nobody has to be woken to claim them, and nothing is written that a claim would delete. Where a queue is
//! locked, damaged or missing, tasks are submitted as by anybody else for a while, and claims deal with that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tasker_shared::tasks::Enqueuing;
use tracing::info;

/// How long a submission waits for a queue or an idempotency key that another transaction holds.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How long nobody goes this way after a queue was in it.
const CLOSED_FOR: Duration = Duration::from_secs(5);

/// The orchestrator of the same process, as submissions know it.
pub struct OrchestratorBeside {
    /// How they enqueue for it.
    pub enqueuing: Enqueuing,
    /// To be told how many tasks they did that for.
    pub enqueued: Box<dyn Fn(u64) + Send + Sync>,
}

/// The way of one process, if it has one; clones share it.
#[derive(Clone)]
pub(super) struct DirectWay(Option<Arc<Parts>>);

struct Parts {
    orchestrator: OrchestratorBeside,
    closed_until: Mutex<Option<Instant>>,
}

impl DirectWay {
    pub(super) fn new(orchestrator: Option<OrchestratorBeside>) -> Self {
        Self(orchestrator.map(|orchestrator| {
            Arc::new(Parts {
                orchestrator,
                closed_until: Mutex::default(),
            })
        }))
    }

    /// How to go this way, while it is open.
    pub(super) fn open(&self) -> Option<&Enqueuing> {
        let parts = self.0.as_deref()?;
        let closed_until = parts.closed_until.lock();
        let closed_until = *closed_until.unwrap_or_else(PoisonError::into_inner);
        (closed_until.is_none_or(|until| until <= Instant::now()))
            .then_some(&parts.orchestrator.enqueuing)
    }

    /// So many tasks went this way.
    pub(super) fn taken(&self, tasks: u64) {
        if let Some(parts) = &self.0
            && tasks > 0
        {
            (parts.orchestrator.enqueued)(tasks);
        }
    }

    /// A queue was in the way.
    pub(super) fn close(&self) {
        if let Some(parts) = &self.0 {
            info!(
                "tasks are submitted without being enqueued for {CLOSED_FOR:?}, because a queue is in the \
                 way; claims enqueue them"
            );
            let until = Instant::now() + CLOSED_FOR;
            let closed_until = parts.closed_until.lock();
            *closed_until.unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }
}
