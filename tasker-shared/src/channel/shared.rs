//! What both ends of a channel hold: its state behind a lock, and who it is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use super::{
    counters::Counters,
    monitor::{ChannelMonitor, ChannelStatus, Observed},
    registry::{self, ChannelId},
    saturation::Notice,
    spec::{Bounds, ChannelSpec},
    state::{Aftermath, State},
};

pub(super) struct Shared<T> {
    id: ChannelId,
    pub(super) spec: ChannelSpec,
    bounds: Bounds,
    weigh: fn(&T) -> usize,
    state: Mutex<State<T>>,
}

impl<T: Send + 'static> Shared<T> {
    /// A channel with one sender and one receiver, listed until the receiver is gone.
    pub(super) fn new(spec: ChannelSpec, bounds: Bounds, weigh: fn(&T) -> usize) -> Arc<Self> {
        let id = registry::new_id();
        let shared = Arc::new(Self {
            id,
            spec,
            bounds,
            weigh,
            state: Mutex::new(State::new(bounds)),
        });
        registry::add(id, shared.monitor());
        shared
    }

    pub(super) fn monitor(self: &Arc<Self>) -> ChannelMonitor {
        ChannelMonitor(Arc::clone(self) as Arc<dyn Observed>)
    }
}

impl<T> Shared<T> {
    pub(super) fn weigh(&self, message: &T) -> usize {
        (self.weigh)(message)
    }

    pub(super) fn capacity(&self) -> usize {
        self.bounds.messages
    }

    /// The state. A panic while it is locked cannot leave it half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the receiver is gone: then a send has failed, and is counted.
    pub(super) fn lock_open(&self) -> Option<MutexGuard<'_, State<T>>> {
        let state = self.lock();
        if state.is_closed() {
            drop(state);
            registry::count_closed(self.spec);
            return None;
        }
        Some(state)
    }

    /// Frees the lock after a message was sent, and does what follows from it.
    pub(super) fn after_send(&self, state: MutexGuard<'_, State<T>>, aftermath: Aftermath) {
        drop(state);
        let Aftermath { receiver, notice } = aftermath;
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        self.log(notice);
    }

    /// Frees the lock after messages were received, and does what follows from it.
    pub(super) fn after_receive(
        &self,
        state: MutexGuard<'_, State<T>>,
        called: &mut Vec<Waker>,
        notice: Option<Notice>,
    ) {
        drop(state);
        called.drain(..).for_each(Waker::wake);
        self.log(notice);
    }

    pub(super) fn log(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            notice.log(self.spec, self.bounds);
        }
    }

    /// Takes the receiver away: waiting messages are dropped, senders fail from here on.
    pub(super) fn close(&self) {
        let (left, called) = self.lock().close();
        registry::remove(self.id);
        // Not under the lock, because a message may run code of its own when it is dropped.
        drop(left);
        called.into_iter().for_each(Waker::wake);
    }
}

impl<T: Send> Observed for Shared<T> {
    fn status(&self) -> ChannelStatus {
        let state = self.lock();
        let mut status = ChannelStatus::new(
            self.spec,
            self.bounds,
            state.level(),
            state.high_water,
            &state.counters,
            &state.saturation,
        );
        if state.is_full() {
            status.usage_percent = 100.0;
        }
        status
    }

    fn counters(&self) -> Counters {
        self.lock().counters
    }

    fn sample(&self) {
        let mut state = self.lock();
        let mut level = state.level();
        if state.is_full() {
            level.len = self.bounds.messages;
        }
        state.saturation.sample(level);
    }
}
