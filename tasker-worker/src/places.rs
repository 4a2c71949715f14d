//! The places of a worker, each for one handler: which are taken, and which of the others may go to
//! steps that an outcome makes ready.
//!
//! The loop that receives steps counts by the changes it is sent, many at a time. Reporters need to know
//! at once what is idle, and must not promise a place twice: for them there is a count behind a lock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasker_shared::channel::Sender;
use tokio::time::Instant;

/// How long receipts leave alone what calls under way may fill. Calls take milliseconds; one that waits for
/// a lock, or whose session is frozen, must not keep a worker from receiving.
const RESERVED_FOR: Duration = Duration::from_millis(25);

/// How the number of steps changed that run or are about to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Occupancy {
    /// So many steps are about to follow others.
    Taken(usize),
    /// So many have ended.
    Freed(usize),
}

/// The places of one worker.
pub(crate) struct Places {
    concurrency: usize,
    counts: Mutex<Counts>,
    changes: Sender<Occupancy>,
}

#[derive(Default)]
struct Counts {
    /// Steps that run or are about to.
    running: usize,
    /// Those whose outcome is on its way to a reporter, and whose place is free in a moment.
    ending: usize,
    /// What calls that are under way may start.
    promised: usize,
    /// Of that, what receipts leave alone until then.
    reserved: usize,
    reserved_until: Option<Instant>,
    /// Whether no step is known to wait for a place.
    is_offered: bool,
}

/// Places that are kept for what a call may start; they are given back with it.
pub(crate) struct Promise {
    places: Arc<Places>,
    promised: usize,
    beside: usize,
    reserved: usize,
}

impl Places {
    pub(crate) fn new(concurrency: usize, changes: Sender<Occupancy>) -> Self {
        Self {
            concurrency,
            counts: Mutex::default(),
            changes,
        }
    }

    /// So many received steps are about to run; who received them counts for themselves.
    pub(crate) fn launched(&self, steps: usize) {
        self.count(|counts| counts.running += steps);
    }

    /// The outcome of a step is about to be handed over, and its place is free afterwards.
    pub(crate) fn ending(&self) {
        self.count(|counts| counts.ending += 1);
    }

    /// Whether steps run whose outcomes are not on their way yet.
    pub(crate) fn run_others(&self) -> bool {
        self.count(|counts| counts.running > counts.ending)
    }

    /// The place is free of a step that was ending.
    pub(crate) async fn ended(&self) {
        self.leave(1, 1).await;
    }

    /// So many places are free again.
    pub(crate) async fn freed(&self, places: usize) {
        self.leave(places, 0).await;
    }

    async fn leave(&self, places: usize, ending: usize) {
        self.count(|counts| {
            counts.running = counts.running.saturating_sub(places);
            counts.ending = counts.ending.saturating_sub(ending);
        });
        let _ = self.changes.send(Occupancy::Freed(places)).await;
    }

    /// Whether places that are idle may go to what outcomes make ready: not while a step may wait for
    /// one in a queue.
    pub(crate) fn offer(&self, is_offered: bool) {
        self.count(|counts| counts.is_offered = is_offered);
    }

    /// Places for steps that are received.
    pub(crate) fn for_receipts(&self) -> usize {
        self.count(|counts| {
            let is_reserved = counts.reserved_until.is_some_and(lies_ahead);
            let reserved = if is_reserved { counts.reserved } else { 0 };
            self.concurrency.saturating_sub(counts.running + reserved)
        })
    }

    /// When there will be more places for them in any case.
    pub(crate) fn reserved_until(&self) -> Option<Instant> {
        self.count(|counts| counts.reserved_until.filter(|until| lies_ahead(*until)))
    }

    /// Keeps places for so many steps that follow others, and for up to `most_beside` more, where that
    /// many are idle. Where a step waits in a queue, that may be received before the others follow.
    pub(crate) fn promise(self: &Arc<Self>, following: usize, most_beside: usize) -> Promise {
        self.count(|counts| {
            let taken = counts.running.saturating_sub(counts.ending) + counts.promised + following;
            let idle = self.concurrency.saturating_sub(taken);
            let beside = if counts.is_offered {
                idle.min(most_beside)
            } else {
                0
            };
            let promised = following + beside;
            let reserved = if counts.is_offered { promised } else { 0 };
            counts.promised += promised;
            if counts.reserved == 0 && reserved > 0 {
                counts.reserved_until = Some(Instant::now() + RESERVED_FOR);
            }
            counts.reserved += reserved;
            Promise {
                places: Arc::clone(self),
                promised,
                beside,
                reserved,
            }
        })
    }

    fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Promise {
    /// How many steps may start beside those that follow.
    pub(crate) const fn beside(&self) -> usize {
        self.beside
    }

    /// So many steps are about to run; what else was promised is given back. Counted before any of
    /// them can end.
    pub(crate) async fn take(mut self, started: usize) {
        let places = Arc::clone(&self.places);
        let is_heard = places.count(|counts| {
            counts.running += started;
            let was_reserved = self.reserved > 0;
            self.give_back(counts);
            // Who wants to receive meanwhile waits for a change.
            started > 0 || was_reserved && !counts.is_offered
        });
        drop(self);
        if is_heard {
            let _ = places.changes.send(Occupancy::Taken(started)).await;
        }
    }

    fn give_back(&mut self, counts: &mut Counts) {
        counts.promised -= std::mem::take(&mut self.promised);
        counts.reserved -= std::mem::take(&mut self.reserved);
        if counts.reserved == 0 {
            counts.reserved_until = None;
        }
    }
}

fn lies_ahead(moment: Instant) -> bool {
    moment > Instant::now()
}

/// For calls that panic: what others were promised is given back by [`Promise::take`].
impl Drop for Promise {
    fn drop(&mut self) {
        let was_reserved = self.reserved > 0;
        let places = Arc::clone(&self.places);
        places.count(|counts| self.give_back(counts));
        if was_reserved {
            // Where there is no room for it, other changes are about to be heard of.
            let _ = places.changes.try_send(Occupancy::Taken(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::channel::{self, ChannelSpec, Receiver};
    use tokio::time::sleep_until;

    use super::*;

    fn places(concurrency: usize) -> (Arc<Places>, Receiver<Occupancy>) {
        let (changes, received) = channel::bounded(ChannelSpec {
            name: "completions",
            component: "test",
            capacity: 10,
        });
        let places = Places::new(concurrency, changes);
        places.offer(true);
        (Arc::new(places), received)
    }

    #[test]
    fn no_place_is_promised_twice_and_none_that_is_taken() {
        let (places, _changes) = places(10);
        places.launched(3);

        let first = places.promise(1, 4);
        let second = places.promise(1, 4);

        assert_eq!((first.beside(), second.beside()), (4, 1));
        assert_eq!(places.promise(1, 4).beside(), 0);
        assert_eq!(places.for_receipts(), 0);
        drop(first);
        assert_eq!(places.for_receipts(), 5);
        assert_eq!(places.promise(1, 10).beside(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_long_keeps_no_place_from_receipts() {
        let (places, _changes) = places(10);
        let promise = places.promise(1, 4);
        let until = places.reserved_until().expect("receipts leave it alone");
        assert_eq!(places.for_receipts(), 5);

        sleep_until(until).await;

        assert_eq!((places.for_receipts(), places.reserved_until()), (10, None));
        drop(promise);
        let _next = places.promise(1, 4);
        assert_eq!(places.for_receipts(), 5);
    }

    #[test]
    fn a_step_that_is_ending_leaves_its_place_to_the_one_that_follows() {
        let (places, _changes) = places(2);
        places.launched(1);
        assert_eq!(places.promise(1, 2).beside(), 0);

        places.ending();

        assert_eq!(places.promise(1, 2).beside(), 1);
    }

    #[test]
    fn while_a_step_may_wait_for_a_place_that_goes_first() {
        let (places, _changes) = places(10);

        places.offer(false);

        let promise = places.promise(1, 10);
        assert_eq!(promise.beside(), 0);
        assert_eq!(places.for_receipts(), 10);
    }

    #[tokio::test]
    async fn what_started_takes_its_places_and_the_others_are_given_back() {
        let (places, mut changes) = places(5);

        places.promise(1, 4).take(3).await;

        assert_eq!(places.for_receipts(), 2);
        assert_eq!(places.promise(0, 10).beside(), 2);
        assert!(matches!(changes.try_recv(), Some(Occupancy::Taken(3))));
    }

    #[tokio::test]
    async fn who_waits_to_receive_hears_of_what_is_given_back() {
        let (places, mut changes) = places(5);
        places.promise(1, 4).take(0).await;
        assert!(changes.try_recv().is_none());

        let promise = places.promise(1, 4);
        places.offer(false);
        promise.take(0).await;

        assert!(matches!(changes.try_recv(), Some(Occupancy::Taken(0))));
    }

    #[test]
    fn what_a_call_that_panicked_was_promised_is_given_back() {
        let (places, mut changes) = places(5);

        drop(places.promise(1, 4));

        assert_eq!(places.for_receipts(), 5);
        assert!(matches!(changes.try_recv(), Some(Occupancy::Taken(0))));
    }

    #[tokio::test]
    async fn a_step_that_has_ended_is_counted_once() {
        let (places, mut changes) = places(2);
        places.launched(2);
        places.ending();

        places.ended().await;

        assert_eq!(places.promise(0, 2).beside(), 1);
        assert!(matches!(changes.try_recv(), Some(Occupancy::Freed(1))));
    }
}
