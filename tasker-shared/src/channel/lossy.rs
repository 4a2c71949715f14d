//! The sending end of a channel whose messages may be lost: a policy says which.

use std::fmt;

use super::{errors::Closed, monitor::ChannelMonitor, sender::Sender};
use crate::config::DropPolicy;

/// The sending end of a lossy channel; clones send to the same receiver.
///
/// It has no `try_send` and no timeouts: what becomes of a message that finds no room was decided
/// when the channel was made.
pub struct LossySender<T> {
    sender: Sender<T>,
    policy: DropPolicy,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It entered the channel, and this many older messages were dropped for it.
    Admitted {
        /// Messages dropped.
        displaced: usize,
    },
    /// It was dropped.
    Dropped,
}

impl<T> LossySender<T> {
    pub(super) fn new(sender: Sender<T>, policy: DropPolicy) -> Self {
        Self { sender, policy }
    }

    /// Sends `message`, unless the policy drops it. Waits only where that is [`DropPolicy::Block`].
    pub async fn send(&self, message: T) -> Result<Admission, Closed<T>> {
        match self.policy {
            DropPolicy::Block => {
                self.sender.send(message).await?;
                Ok(Admission::Admitted { displaced: 0 })
            }
            DropPolicy::DropNewest => self.send_or_drop(message),
            DropPolicy::DropOldest => self.displace(message),
        }
    }

    /// What becomes of messages when the channel is full.
    pub fn policy(&self) -> DropPolicy {
        self.policy
    }

    fn send_or_drop(&self, message: T) -> Result<Admission, Closed<T>> {
        let shared = &self.sender.shared;
        let weight = shared.weigh(&message);
        let Some(mut state) = shared.lock_open() else {
            return Err(Closed(message));
        };
        match state.offer(message, weight) {
            Ok(aftermath) => {
                shared.after_send(state, aftermath);
                Ok(Admission::Admitted { displaced: 0 })
            }
            Err(message) => {
                state.counters.dropped += 1;
                drop(state);
                // Not under the lock, because it may run code of its own.
                drop(message);
                Ok(Admission::Dropped)
            }
        }
    }

    fn displace(&self, message: T) -> Result<Admission, Closed<T>> {
        let shared = &self.sender.shared;
        let weight = shared.weigh(&message);
        let mut displaced = Vec::new();
        let Some(mut state) = shared.lock_open() else {
            return Err(Closed(message));
        };
        let aftermath = state.displace(message, weight, &mut displaced);
        shared.after_send(state, aftermath);
        Ok(Admission::Admitted {
            displaced: displaced.len(),
        })
    }
}

impl<T: Send + 'static> LossySender<T> {
    /// What is known about the channel.
    pub fn monitor(&self) -> ChannelMonitor {
        self.sender.monitor()
    }
}

impl<T> Clone for LossySender<T> {
    fn clone(&self) -> Self {
        Self::new(self.sender.clone(), self.policy)
    }
}

impl<T> fmt::Debug for LossySender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossySender")
            .field("sender", &self.sender)
            .field("policy", &self.policy)
            .finish()
    }
}
