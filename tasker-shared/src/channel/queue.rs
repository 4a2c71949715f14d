//! A bounded queue between tasks: many senders, one receiver.
//!
//! It is built on tokio's semaphore rather than on a ready-made channel, because none offers all of
//! what the product needs at once: senders wait in turn, a send that runs out of time hands its
//! message back, a receiver takes a batch under one lock, usage is exact at every moment, and a
//! policy can displace the oldest message. A free place is a permit; a sender takes it away with the
//! message and the receiver returns it.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError},
    task::coop,
    time,
};

use super::{
    monitor::{ChannelMonitor, FullAction},
    registry,
};

/// What a channel is called and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSpec {
    /// The channel's name in metrics and logs.
    pub name: &'static str,
    /// The part of the product that receives from it.
    pub component: &'static str,
    /// Most messages that wait in it, from configuration. 0 counts as 1.
    pub capacity: usize,
}

/// The receiver is gone; the message comes back.
#[derive(thiserror::Error)]
#[error("the channel is closed")]
pub struct Closed<T>(pub T);

/// Why a message was not sent; it comes back.
#[derive(thiserror::Error)]
pub enum NotSent<T> {
    /// No place was free.
    #[error("the channel is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the channel is closed")]
    Closed(T),
}

impl<T> NotSent<T> {
    /// The message that was not sent.
    pub fn into_message(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> From<Closed<T>> for NotSent<T> {
    fn from(Closed(message): Closed<T>) -> Self {
        Self::Closed(message)
    }
}

// By hand, because messages need not be printable for their errors to be.
impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Debug for NotSent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.shared.monitor).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver")
            .field(&self.shared.monitor)
            .finish()
    }
}

/// The sending side; clones send to the same receiver.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving side. When it is dropped, waiting messages are dropped and senders fail.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    queue: Mutex<VecDeque<T>>,
    /// A permit is a free place. Closed when the receiver is gone.
    space: Semaphore,
    /// Wakes the receiver.
    arrived: Notify,
    senders: AtomicUsize,
    monitor: Arc<ChannelMonitor>,
}

/// A channel that holds at most `spec.capacity` messages.
pub fn bounded<T>(spec: ChannelSpec) -> (Sender<T>, Receiver<T>) {
    let spec = ChannelSpec {
        capacity: spec.capacity.clamp(1, Semaphore::MAX_PERMITS),
        ..spec
    };
    let monitor = Arc::new(ChannelMonitor::new(spec));
    registry::add(&monitor);
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        space: Semaphore::new(spec.capacity),
        arrived: Notify::new(),
        senders: AtomicUsize::new(1),
        monitor,
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

impl<T> Sender<T> {
    /// Sends `message`, waiting in turn for a free place. Dropping the future drops the message.
    pub async fn send(&self, message: T) -> Result<(), Closed<T>> {
        let shared = &*self.shared;
        let place = match shared.space.try_acquire() {
            Ok(place) => {
                // A sender that never has to wait must still let other tasks run.
                coop::consume_budget().await;
                place
            }
            Err(TryAcquireError::Closed) => return Err(Closed(message)),
            Err(TryAcquireError::NoPermits) => {
                shared.monitor.full(FullAction::Blocked);
                match shared.space.acquire().await {
                    Ok(place) => place,
                    Err(_closed) => return Err(Closed(message)),
                }
            }
        };
        shared.push(place, message)
    }

    /// Sends `message` if a place is free, else hands it back.
    pub fn try_send(&self, message: T) -> Result<(), NotSent<T>> {
        let shared = &*self.shared;
        match shared.space.try_acquire() {
            Ok(place) => shared.push(place, message).map_err(NotSent::from),
            Err(TryAcquireError::Closed) => Err(NotSent::Closed(message)),
            Err(TryAcquireError::NoPermits) => {
                shared.monitor.full(FullAction::Refused);
                Err(NotSent::Full(message))
            }
        }
    }

    /// Sends `message`, waiting at most `timeout` for a free place; after that hands it back.
    pub async fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), NotSent<T>> {
        let shared = &*self.shared;
        if shared.space.available_permits() == 0 {
            shared.monitor.full(FullAction::Blocked);
        }
        match time::timeout(timeout, shared.space.acquire()).await {
            Ok(Ok(place)) => shared.push(place, message).map_err(NotSent::from),
            Ok(Err(_closed)) => Err(NotSent::Closed(message)),
            Err(_elapsed) => {
                shared.monitor.full(FullAction::Refused);
                Err(NotSent::Full(message))
            }
        }
    }

    /// Most messages the channel holds.
    pub fn capacity(&self) -> usize {
        self.shared.monitor.capacity()
    }

    /// Messages waiting at the moment.
    pub fn len(&self) -> usize {
        self.shared.monitor.len()
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.space.is_closed()
    }

    /// The channel's counters.
    pub fn monitor(&self) -> &ChannelMonitor {
        &self.shared.monitor
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel, so that the receiver that sees no senders sees all that they sent.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.arrived.notify_one();
        }
    }
}

impl<T> Receiver<T> {
    /// The next message; `None` when no sender is left and all was received. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        self.receive(VecDeque::pop_front).await
    }

    /// Appends up to `limit` waiting messages to `messages` and returns how many: waits for the
    /// first, not for more. 0 when no sender is left and all was received, or `limit` is 0.
    /// Cancel-safe.
    pub async fn recv_many(&mut self, messages: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let before = messages.len();
        self.receive(|queue| {
            let count = limit.min(queue.len());
            messages.extend(queue.drain(..count));
            (count > 0).then_some(())
        })
        .await;
        messages.len() - before
    }

    /// The next message if one is waiting.
    pub fn try_recv(&mut self) -> Option<T> {
        self.shared.pop(&mut VecDeque::pop_front)
    }

    /// Most messages the channel holds.
    pub fn capacity(&self) -> usize {
        self.shared.monitor.capacity()
    }

    /// Messages waiting at the moment.
    pub fn len(&self) -> usize {
        self.shared.monitor.len()
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The channel's counters.
    pub fn monitor(&self) -> &ChannelMonitor {
        &self.shared.monitor
    }

    /// Waits until `take` finds something, or nothing can come any more.
    async fn receive<R>(
        &mut self,
        mut take: impl FnMut(&mut VecDeque<T>) -> Option<R>,
    ) -> Option<R> {
        // A receiver that always finds something must still let other tasks run. There is no
        // other pause after something was taken, so a cancelled call has taken nothing.
        coop::consume_budget().await;
        loop {
            // Asked before looking, so that what the last sender sent is not missed.
            let no_senders = self.shared.senders.load(Ordering::Acquire) == 0;
            let taken = self.shared.pop(&mut take);
            if taken.is_some() || no_senders {
                return taken;
            }
            self.shared.arrived.notified().await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Closed before the lock is taken: who holds the lock by then still sends, and its message
        // is taken here; who takes it later sees that the channel is closed.
        self.shared.space.close();
        let left = mem::take(&mut *self.shared.lock());
        registry::remove(&self.shared.monitor);
        // Not under the lock, because a message may run code of its own when it is dropped.
        drop(left);
    }
}

impl<T> Shared<T> {
    fn push(&self, place: SemaphorePermit<'_>, message: T) -> Result<(), Closed<T>> {
        let mut queue = self.lock();
        if self.space.is_closed() {
            return Err(Closed(message));
        }
        place.forget();
        queue.push_back(message);
        let saturated = self.monitor.sent(queue.len());
        drop(queue);
        self.arrived.notify_one();
        if saturated {
            self.monitor.warn_of_saturation();
        }
        Ok(())
    }

    fn pop<R>(&self, take: &mut impl FnMut(&mut VecDeque<T>) -> Option<R>) -> Option<R> {
        let mut queue = self.lock();
        let before = queue.len();
        let taken = take(&mut queue);
        let count = before - queue.len();
        if count > 0 {
            self.monitor.received(count, queue.len());
            drop(queue);
            self.space.add_permits(count);
        }
        taken
    }

    /// The queue. A panic while it is locked cannot leave it half changed.
    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
