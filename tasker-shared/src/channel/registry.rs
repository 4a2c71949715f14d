//! All channels of the process, for metrics and health checks.
//!
//! A channel is listed from its making until its receiver is gone. What passed through channels
//! that are gone stays in the totals, so that counters do not fall when a loop is restarted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::monitor::{ChannelMonitor, ChannelStatus};

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    open: Vec::new(),
    closed: BTreeMap::new(),
});

struct Registry {
    open: Vec<Arc<ChannelMonitor>>,
    closed: BTreeMap<ChannelKey, ChannelTotals>,
}

/// Component and name: what channels are told apart by in metrics.
type ChannelKey = (&'static str, &'static str);

/// Sums over all channels of one name, gone ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChannelTotals {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) blocked: u64,
    pub(crate) refused: u64,
}

/// The channels' health, for `/health/channels`.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelHealthStatus {
    /// No channel has reached the threshold.
    Healthy,
    /// These channels have.
    Degraded {
        /// One sentence for each.
        warnings: Vec<String>,
    },
}

/// The state of every channel whose receiver exists, by component and name.
pub fn snapshot() -> Vec<ChannelStatus> {
    let mut all: Vec<_> = lock().open.iter().map(|monitor| monitor.status()).collect();
    all.sort_by_key(|status| (status.component, status.name));
    all
}

/// Whether any channel uses at least `threshold`, from 0 to 1, of its capacity.
pub fn check_channel_health(threshold: f64) -> ChannelHealthStatus {
    let warnings: Vec<_> = snapshot()
        .into_iter()
        .filter(|status| status.usage_percent >= threshold * 100.0)
        .map(|status| {
            let ChannelStatus {
                name,
                component,
                len,
                capacity,
                ..
            } = status;
            format!("channel {component}/{name} holds {len} of {capacity} messages")
        })
        .collect();
    if warnings.is_empty() {
        return ChannelHealthStatus::Healthy;
    }
    ChannelHealthStatus::Degraded { warnings }
}

/// Sums by component and name that never fall.
pub(crate) fn totals() -> BTreeMap<ChannelKey, ChannelTotals> {
    let registry = lock();
    let mut totals = registry.closed.clone();
    for monitor in &registry.open {
        add_to(&mut totals, monitor);
    }
    totals
}

pub(super) fn add(monitor: &Arc<ChannelMonitor>) {
    lock().open.push(Arc::clone(monitor));
}

pub(super) fn remove(monitor: &Arc<ChannelMonitor>) {
    let mut registry = lock();
    if let Some(at) = registry
        .open
        .iter()
        .position(|open| Arc::ptr_eq(open, monitor))
    {
        registry.open.swap_remove(at);
        add_to(&mut registry.closed, monitor);
    }
}

fn add_to(totals: &mut BTreeMap<ChannelKey, ChannelTotals>, monitor: &ChannelMonitor) {
    let status = monitor.status();
    let total = totals.entry((status.component, status.name)).or_default();
    total.sent += status.sent_total;
    total.received += status.received_total;
    total.blocked += status.blocked_total;
    total.refused += status.refused_total;
}

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
