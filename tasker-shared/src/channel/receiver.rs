//! The receiving end of a channel.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use tokio::task::coop;

use super::{monitor::ChannelMonitor, shared::Shared};

/// The receiving end. When it is dropped, waiting messages are dropped and senders fail.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
    /// Senders to wake, kept for its memory.
    called: Vec<Waker>,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared,
            called: Vec::new(),
        }
    }

    /// The next message; `None` when no sender is left and all was received. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        // A receiver that always finds something must still let other tasks run. There is no
        // other pause after something was taken, so a cancelled call has taken nothing.
        coop::consume_budget().await;
        poll_fn(|context| {
            let mut state = self.shared.lock();
            match state.pop(&mut self.called) {
                Some((message, notice)) => {
                    self.shared.after_receive(state, &mut self.called, notice);
                    Poll::Ready(Some(message))
                }
                None if state.senders == 0 => Poll::Ready(None),
                None => {
                    state.receive_later(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Appends up to `limit` waiting messages to `messages` and returns how many: waits for the
    /// first, not for more. 0 when no sender is left and all was received, or `limit` is 0.
    /// Cancel-safe.
    pub async fn recv_many(&mut self, messages: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        coop::consume_budget().await;
        poll_fn(|context| {
            let mut state = self.shared.lock();
            let (count, notice) = state.pop_many(messages, limit, &mut self.called);
            if count == 0 && state.senders > 0 {
                state.receive_later(context.waker());
                return Poll::Pending;
            }
            self.shared.after_receive(state, &mut self.called, notice);
            Poll::Ready(count)
        })
        .await
    }

    /// The next message if one is waiting.
    pub fn try_recv(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        let (message, notice) = state.pop(&mut self.called)?;
        self.shared.after_receive(state, &mut self.called, notice);
        Some(message)
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
}

impl<T: Send + 'static> Receiver<T> {
    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        self.shared.monitor()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.shared.spec).finish()
    }
}
