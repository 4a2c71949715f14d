//! The sending end of a channel that loses nothing: it waits, or hands the message back.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::coop,
    time::{self, Instant},
};

use super::{
    errors::{Closed, NotSent},
    monitor::ChannelMonitor,
    shared::Shared,
    waiters::Place,
};
use crate::backoff::Backoff;

/// Longest pause between two attempts of [`Sender::send_retry`].
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The sending end; clones send to the same receiver.
pub struct Sender<T> {
    pub(super) shared: Arc<Shared<T>>,
}

/// How often a send is tried again, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRetry {
    /// Attempts after the first.
    pub max_retries: u32,
    /// About how long the pause before the first of them is; it doubles, up to ten seconds.
    pub backoff: Duration,
    /// How long each attempt waits for room; zero means not at all.
    pub attempt_timeout: Duration,
}

impl<T> Sender<T> {
    /// Sends `message`, waiting in turn for room. Dropping the future drops the message unsent.
    pub async fn send(&self, message: T) -> Result<(), Closed<T>> {
        let mut sending = Sending::new(&self.shared, message);
        coop::consume_budget().await;
        poll_fn(|context| sending.poll(context)).await
    }

    /// Sends `message` if there is room, else hands it back.
    pub fn try_send(&self, message: T) -> Result<(), NotSent<T>> {
        let weight = self.shared.weigh(&message);
        let Some(mut state) = self.shared.lock_open() else {
            return Err(NotSent::Closed(message));
        };
        match state.offer(message, weight) {
            Ok(aftermath) => {
                self.shared.after_send(state, aftermath);
                Ok(())
            }
            Err(message) => {
                state.counters.failures.full += 1;
                Err(NotSent::Full(message))
            }
        }
    }

    /// Sends `message`, waiting at most `timeout` for room; after that hands it back.
    pub async fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), NotSent<T>> {
        let result = self.attempt(message, timeout).await;
        if let Err(NotSent::TimedOut(_)) = &result {
            self.shared.lock().counters.failures.timed_out += 1;
        }
        result
    }

    /// Sends `message`, trying again after a pause while the channel is full; when `retry` allows
    /// no more, hands it back.
    pub async fn send_retry(&self, message: T, retry: SendRetry) -> Result<(), NotSent<T>> {
        let mut message = message;
        let mut backoff = Backoff::new(retry.backoff, LONGEST_BACKOFF.max(retry.backoff));
        for attempt in 0..=retry.max_retries {
            if attempt > 0 {
                time::sleep(backoff.pause()).await;
            }
            message = match self.attempt(message, retry.attempt_timeout).await {
                Err(NotSent::TimedOut(message)) => message,
                result => return result,
            };
        }
        self.shared.lock().counters.failures.retries_exceeded += 1;
        Err(NotSent::RetriesExceeded(message))
    }

    /// One send that waits for a time; its failure for lack of room is for the caller to count.
    async fn attempt(&self, message: T, timeout: Duration) -> Result<(), NotSent<T>> {
        let mut sending = Sending::new(&self.shared, message);
        let sent = time::timeout(timeout, poll_fn(|context| sending.poll(context))).await;
        match sent {
            Ok(result) => result.map_err(NotSent::from),
            Err(_elapsed) => match sending.message.take() {
                Some(message) => Err(NotSent::TimedOut(message)),
                None => Ok(()),
            },
        }
    }

    /// Most messages the channel holds.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Messages waiting at the moment.
    pub fn len(&self) -> usize {
        self.shared.lock().level().len
    }

    /// Whether no message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }
}

impl<T: Send + 'static> Sender<T> {
    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        self.shared.monitor()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let receiver = self.shared.lock().remove_sender();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.shared.spec).finish()
    }
}

/// A send under way. Dropping it gives its place in line to the next.
struct Sending<'a, T> {
    shared: &'a Shared<T>,
    /// Until it is sent.
    message: Option<T>,
    weight: usize,
    /// Its place in line, and since when.
    place: Option<(Place, Instant)>,
}

impl<'a, T> Sending<'a, T> {
    fn new(shared: &'a Shared<T>, message: T) -> Self {
        Self {
            shared,
            weight: shared.weigh(&message),
            message: Some(message),
            place: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed<T>>> {
        let Some(message) = self.message.take() else {
            // It was sent before.
            return Poll::Ready(Ok(()));
        };
        match self.place {
            None => self.poll_first(message, context),
            Some((place, since)) => self.poll_in_line(message, place, since, context),
        }
    }

    fn poll_first(&mut self, message: T, context: &mut Context<'_>) -> Poll<Result<(), Closed<T>>> {
        let Some(mut state) = self.shared.lock_open() else {
            return Poll::Ready(Err(Closed(message)));
        };
        match state.offer(message, self.weight) {
            Ok(aftermath) => {
                self.shared.after_send(state, aftermath);
                Poll::Ready(Ok(()))
            }
            Err(message) => {
                let (place, notice) = state.wait(self.weight, context.waker());
                drop(state);
                self.shared.log(notice);
                self.message = Some(message);
                self.place = Some((place, Instant::now()));
                Poll::Pending
            }
        }
    }

    fn poll_in_line(
        &mut self,
        message: T,
        place: Place,
        since: Instant,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Closed<T>>> {
        let waited = since.elapsed();
        let Some(mut state) = self.shared.lock_open() else {
            return Poll::Ready(Err(Closed(message)));
        };
        if !state.is_called(place, self.weight, context.waker()) {
            self.message = Some(message);
            return Poll::Pending;
        }
        self.place = None;
        state.waited(waited);
        let aftermath = state.push(message, self.weight);
        self.shared.after_send(state, aftermath);
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some((place, since)) = self.place else {
            return;
        };
        let waited = since.elapsed();
        let mut called = Vec::new();
        let mut state = self.shared.lock();
        state.waited(waited);
        state.leave(place, self.weight, &mut called);
        drop(state);
        called.into_iter().for_each(Waker::wake);
    }
}
