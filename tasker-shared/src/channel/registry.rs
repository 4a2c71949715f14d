//! All channels of the process, for metrics and health checks.
//!
//! A channel is listed from its making until its receiving end is gone. What passed through channels
//! that are gone stays in the totals, so that counters do not fall when a loop is restarted.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    counters::Counters,
    monitor::{ChannelMonitor, ChannelStatus},
    spec::ChannelSpec,
};

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    open: BTreeMap::new(),
    closed: BTreeMap::new(),
});

struct Registry {
    open: BTreeMap<ChannelId, ChannelMonitor>,
    closed: BTreeMap<ChannelKey, Counters>,
}

/// Tells the channels of a process apart, in the order they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChannelId(u64);

/// Component and name: what channels are told apart by in metrics.
type ChannelKey = (&'static str, &'static str);

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

/// The state of every channel whose receiving end exists, by component and name.
pub fn snapshot() -> Vec<ChannelStatus> {
    statuses(|_| true)
}

fn statuses(of: impl Fn(&ChannelMonitor) -> bool) -> Vec<ChannelStatus> {
    let registry = lock();
    let monitors = registry.open.values().filter(|monitor| of(monitor));
    let mut all: Vec<_> = monitors.map(ChannelMonitor::status).collect();
    all.sort_by_key(|status| (status.component, status.name));
    all
}

/// Whether any channel uses at least `threshold`, from 0 to 1, of a bound.
///
/// A broadcast does not count: it is full as soon as one subscriber is slow, for as long as that one
/// is, and nobody waits for it. What subscribers miss is told to them and counted.
pub fn check_channel_health(threshold: f64) -> ChannelHealthStatus {
    let warnings: Vec<_> = statuses(|monitor| !monitor.leaves_the_slow_behind())
        .iter()
        .filter(|status| status.is_saturated(threshold))
        .map(warning)
        .collect();
    if warnings.is_empty() {
        return ChannelHealthStatus::Healthy;
    }
    ChannelHealthStatus::Degraded { warnings }
}

fn warning(status: &ChannelStatus) -> String {
    let ChannelStatus {
        name,
        component,
        len,
        capacity,
        bytes,
        ..
    } = status;
    let holds = format!("channel {component}/{name} holds {len} of {capacity} messages");
    match status.max_bytes {
        Some(max_bytes) => format!("{holds}, {bytes} of {max_bytes} bytes"),
        None => holds,
    }
}

/// Sums by component and name that never fall.
pub(crate) fn totals() -> BTreeMap<ChannelKey, Counters> {
    let registry = lock();
    let mut totals = registry.closed.clone();
    for monitor in registry.open.values() {
        add_to(&mut totals, monitor);
    }
    totals
}

pub(super) fn new_id() -> ChannelId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    ChannelId(NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn add(id: ChannelId, monitor: ChannelMonitor) {
    lock().open.insert(id, monitor);
}

pub(super) fn remove(id: ChannelId) {
    let mut registry = lock();
    let removed = registry.open.remove(&id);
    if let Some(monitor) = &removed {
        add_to(&mut registry.closed, monitor);
    }
}

/// Counts a send to a receiver that is gone.
pub(super) fn count_closed(spec: ChannelSpec) {
    let mut registry = lock();
    let totals = registry.closed.entry((spec.component, spec.name));
    totals.or_default().failures.closed += 1;
}

/// Every channel whose receiving end exists.
pub(super) fn monitors() -> Vec<ChannelMonitor> {
    lock().open.values().cloned().collect()
}

fn add_to(totals: &mut BTreeMap<ChannelKey, Counters>, monitor: &ChannelMonitor) {
    let status = monitor.status();
    *totals.entry((status.component, status.name)).or_default() += monitor.counters();
}

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
