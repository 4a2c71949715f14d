//! The place of an attempt among those that run at the same time, which may outlast the attempt.

use std::convert::Infallible;
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

/// Keeps the place of an attempt taken as long as there is one.
#[derive(Debug, Clone)]
pub struct KeptPlace {
    _kept: Option<Arc<oneshot::Sender<Infallible>>>,
}

/// Where a step can ask for its place to be kept; the default is that of a step outside of any worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Weak<oneshot::Sender<Infallible>>);

impl Place {
    pub(crate) fn keep(&self) -> KeptPlace {
        KeptPlace {
            _kept: self.0.upgrade(),
        }
    }
}

/// The worker's end of a place.
pub(crate) struct TakenPlace {
    kept: Arc<oneshot::Sender<Infallible>>,
    released: oneshot::Receiver<Infallible>,
}

impl TakenPlace {
    pub(crate) fn new() -> Self {
        let (kept, released) = oneshot::channel();
        Self {
            kept: Arc::new(kept),
            released,
        }
    }

    /// What the step gets of it.
    pub(crate) fn place(&self) -> Place {
        Place(Arc::downgrade(&self.kept))
    }

    /// The attempt has ended: what to wait for until the place is free, where it is still kept.
    pub(crate) fn attempt_ended(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let Self { kept, mut released } = self;
        drop(kept);
        let is_kept = released.try_recv() == Err(oneshot::error::TryRecvError::Empty);
        is_kept.then_some(async move {
            let _ = released.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_place_that_is_not_kept_is_free_with_the_end_of_the_attempt() {
        let taken = TakenPlace::new();
        drop(taken.place().keep());

        assert!(taken.attempt_ended().is_none());
    }

    #[test]
    fn a_kept_place_is_free_when_the_last_one_is_dropped() {
        let taken = TakenPlace::new();
        let place = taken.place();
        let first = place.keep();
        let second = first.clone();

        let free = taken.attempt_ended().unwrap();
        let mut free = Box::pin(free);
        drop(first);
        assert_eq!(free.as_mut().now_or_never(), None);
        drop(second);
        assert_eq!(free.as_mut().now_or_never(), Some(()));
    }
}
