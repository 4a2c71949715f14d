//! What every loop of the orchestrator needs.

use std::time::Duration;

use tasker_shared::database::Database;
use tasker_shared::outage::Outages;

use crate::wakeups::Wakeups;

/// A call of a loop takes milliseconds. After this long the process at its other end may be frozen,
/// and the call is repeated on another connection.
pub(crate) const FROZEN_AFTER: Duration = Duration::from_secs(5);

/// Shared by the loops of one orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) wakeups: Wakeups,
    pub(crate) outages: Outages,
}
