//! The receiving end of a channel that outlives the loop that reads it.
//!
//! A supervised loop that ends unexpectedly is started again; its senders must not notice.

use std::sync::Arc;

use tasker_shared::channel::Receiver;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A receiver that the present incarnation of a loop holds, and leaves to the next.
pub(crate) struct Inbox<T>(Arc<Mutex<Receiver<T>>>);

impl<T> Inbox<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        Self(Arc::new(Mutex::new(receiver)))
    }

    /// Takes the receiver over, for as long as the guard lives.
    pub(crate) async fn open(self) -> OwnedMutexGuard<Receiver<T>> {
        self.0.lock_owned().await
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
