//! A channel in which every subscriber gets every message, or learns how many it missed.
//!
//! Senders never wait: a subscriber that falls behind by the whole capacity loses the oldest
//! messages, and is told how many when it next receives.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::task::coop;

use super::{
    counters::Counters,
    monitor::{ChannelMonitor, ChannelStatus, Observed},
    registry::{self, ChannelId},
    saturation::{Level, Notice, Saturation},
    spec::{Bounds, ChannelSpec},
};

/// The sending end; clones send to the same subscribers. The channel is listed while one exists.
pub struct BroadcastSender<T>(Arc<Sending<T>>);

/// One subscriber's end.
pub struct BroadcastReceiver<T> {
    shared: Arc<Shared<T>>,
    subscriber: u64,
}

/// Why a subscriber got no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// It was too slow and missed this many messages. The next call goes on after them.
    #[error("{0} messages were missed")]
    Lagged(u64),
    /// No sender is left, and all was received.
    #[error("the channel is closed")]
    Closed,
}

struct Shared<T> {
    id: ChannelId,
    spec: ChannelSpec,
    bounds: Bounds,
    state: Mutex<State<T>>,
}

/// What senders share with each other alone: it ends the channel when the last of them is gone.
struct Sending<T>(Arc<Shared<T>>);

struct State<T> {
    /// Messages that some subscriber has yet to receive, and some that all have.
    messages: VecDeque<Message<T>>,
    /// The number of the first of them; the others follow.
    first: u64,
    subscribers: BTreeMap<u64, Subscriber>,
    next_subscriber: u64,
    is_closed: bool,
    high_water: usize,
    counters: Counters,
    saturation: Saturation,
}

struct Message<T> {
    message: T,
    /// Subscribers that have yet to receive it.
    awaited_by: usize,
}

struct Subscriber {
    /// The number of the message that it receives next.
    next: u64,
    waker: Option<Waker>,
}

/// A channel from which every subscriber receives every message, keeping at most `spec.capacity`
/// of them for the slowest. Messages should be cheap to clone: each subscriber gets a clone.
pub fn broadcast<T: Clone + Send + 'static>(spec: ChannelSpec) -> BroadcastSender<T> {
    let bounds = Bounds::of_count(spec);
    let id = registry::new_id();
    let shared = Arc::new(Shared {
        id,
        spec,
        bounds,
        state: Mutex::new(State {
            messages: VecDeque::new(),
            first: 0,
            subscribers: BTreeMap::new(),
            next_subscriber: 0,
            is_closed: false,
            high_water: 0,
            counters: Counters::default(),
            saturation: Saturation::new(bounds),
        }),
    });
    let observed = Arc::clone(&shared) as Arc<dyn Observed>;
    registry::add(id, ChannelMonitor(observed));
    BroadcastSender(Arc::new(Sending(shared)))
}

impl<T: Clone> BroadcastSender<T> {
    /// Sends `message` to all who subscribe now, and returns how many deliveries it cost: messages
    /// that a subscriber, each counted, will miss for it.
    pub fn send(&self, message: T) -> usize {
        let mut state = self.shared().lock();
        let subscribers = state.subscribers.len();
        state.counters.sent += 1;
        if subscribers == 0 {
            return 0;
        }
        let oldest = if state.messages.len() == self.shared().bounds.messages {
            state.first += 1;
            state.messages.pop_front()
        } else {
            None
        };
        let missed = oldest.as_ref().map_or(0, |oldest| oldest.awaited_by);
        state.counters.dropped += missed as u64;
        state.messages.push_back(Message {
            message,
            awaited_by: subscribers,
        });
        let level = state.level();
        state.high_water = state.high_water.max(level.len);
        let notice = state.saturation.rose(level);
        let wakers = state.take_wakers();
        drop(state);
        // Not under the lock, because it may run code of its own.
        drop(oldest);
        wakers.into_iter().for_each(Waker::wake);
        self.shared().log(notice);
        missed
    }

    /// A subscriber of what is sent from here on.
    pub fn subscribe(&self) -> BroadcastReceiver<T> {
        let mut state = self.shared().lock();
        let subscriber = state.next_subscriber;
        state.next_subscriber += 1;
        let next = state.end();
        let entry = Subscriber { next, waker: None };
        state.subscribers.insert(subscriber, entry);
        drop(state);
        BroadcastReceiver {
            shared: Arc::clone(self.shared()),
            subscriber,
        }
    }
}

impl<T> BroadcastSender<T> {
    fn shared(&self) -> &Arc<Shared<T>> {
        let Sending(shared) = &*self.0;
        shared
    }

    /// Subscribers at the moment.
    pub fn subscribers(&self) -> usize {
        self.shared().lock().subscribers.len()
    }
}

impl<T: Send + 'static> BroadcastSender<T> {
    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        ChannelMonitor(Arc::clone(self.shared()) as Arc<dyn Observed>)
    }
}

impl<T: Clone> BroadcastReceiver<T> {
    /// The next message, or how many were missed before it. Cancel-safe.
    pub async fn recv(&mut self) -> Result<T, NotReceived> {
        coop::consume_budget().await;
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, NotReceived>> {
        let mut state = self.shared.lock();
        let (first, end, is_closed) = (state.first, state.end(), state.is_closed);
        let Some(own) = state.subscribers.get_mut(&self.subscriber) else {
            return Poll::Ready(Err(NotReceived::Closed));
        };
        if own.next < first {
            let missed = first - mem::replace(&mut own.next, first);
            return Poll::Ready(Err(NotReceived::Lagged(missed)));
        }
        if own.next == end {
            if is_closed {
                return Poll::Ready(Err(NotReceived::Closed));
            }
            own.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let number = own.next;
        own.next += 1;
        let message = state.message(number);
        state.counters.received += 1;
        let (gone, notice) = state.release(number, number + 1);
        drop(state);
        drop(gone);
        self.shared.log(notice);
        Poll::Ready(message.ok_or(NotReceived::Closed))
    }
}

impl<T: Clone> State<T> {
    fn message(&self, number: u64) -> Option<T> {
        let at = usize::try_from(number - self.first).ok()?;
        self.messages.get(at).map(|waiting| waiting.message.clone())
    }
}

impl<T> State<T> {
    /// The number of the next message.
    fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    fn level(&self) -> Level {
        Level {
            len: self.messages.len(),
            bytes: 0,
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        let subscribers = self.subscribers.values_mut();
        subscribers
            .filter_map(|subscriber| subscriber.waker.take())
            .collect()
    }

    /// Notes that one subscriber has or gives up the messages from `number` to before `end`, and
    /// gives out those that nobody awaits any more.
    fn release(&mut self, number: u64, end: u64) -> (Vec<Message<T>>, Option<Notice>) {
        let skipped = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        let count = usize::try_from(end - number).unwrap_or(usize::MAX);
        for message in self.messages.iter_mut().skip(skipped).take(count) {
            message.awaited_by -= 1;
        }
        let mut gone = Vec::new();
        while let Some(message) = self
            .messages
            .pop_front_if(|message| message.awaited_by == 0)
        {
            self.first += 1;
            gone.push(message);
        }
        (gone, self.saturation.fell(self.level()))
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            notice.log(self.spec, self.bounds);
        }
    }
}

impl<T: Send> Observed for Shared<T> {
    fn status(&self) -> ChannelStatus {
        let state = self.lock();
        ChannelStatus::new(
            self.spec,
            self.bounds,
            state.level(),
            state.high_water,
            &state.counters,
            &state.saturation,
        )
    }

    fn counters(&self) -> Counters {
        self.lock().counters
    }

    fn sample(&self) {
        let mut state = self.lock();
        let level = state.level();
        state.saturation.sample(level);
    }

    fn leaves_the_slow_behind(&self) -> bool {
        true
    }
}

impl<T> Clone for BroadcastSender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        let Self(shared) = self;
        let mut state = shared.lock();
        state.is_closed = true;
        let wakers = state.take_wakers();
        drop(state);
        registry::remove(shared.id);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for BroadcastReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(own) = state.subscribers.remove(&self.subscriber) else {
            return;
        };
        let (first, end) = (state.first, state.end());
        let (gone, notice) = state.release(own.next.max(first), end);
        drop(state);
        drop(gone);
        self.shared.log(notice);
    }
}

impl<T> fmt::Debug for BroadcastSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = &self.shared().spec;
        f.debug_tuple("BroadcastSender").field(spec).finish()
    }
}

impl<T> fmt::Debug for BroadcastReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = &self.shared.spec;
        f.debug_tuple("BroadcastReceiver").field(spec).finish()
    }
}
