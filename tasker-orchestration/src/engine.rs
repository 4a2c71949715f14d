//! What every loop of the orchestrator needs.

use tasker_shared::database::Database;

use crate::backoff::Backoff;
use crate::health::Vitals;
use crate::signals::Signals;

/// Shared by the loops of one orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) signals: Signals,
    pub(crate) vitals: Vitals,
    /// Pauses between attempts while the database fails.
    pub(crate) backoff: Backoff,
}
