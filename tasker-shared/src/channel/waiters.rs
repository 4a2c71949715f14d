//! The line of senders that wait for room: first come, first served, and leaving is possible.
//!
//! Slots are linked by index and used again, so that a sender that waits costs no allocation once
//! the line has been as long before.

use std::{mem, task::Waker};

/// Where a sender stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

#[derive(Default)]
pub(super) struct Waiters {
    slots: Vec<Slot>,
    unused: Vec<usize>,
    first: Option<usize>,
    last: Option<usize>,
}

struct Slot {
    state: SlotState,
    weight: usize,
    before: Option<usize>,
    after: Option<usize>,
}

enum SlotState {
    Waiting(Waker),
    /// Room is kept for the sender, which is out of the line.
    Called,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Puts a sender at the end of the line.
    pub(super) fn join(&mut self, waker: &Waker, weight: usize) -> Place {
        let slot = Slot {
            state: SlotState::Waiting(waker.clone()),
            weight,
            before: self.last,
            after: None,
        };
        let index = if let Some(index) = self.unused.pop() {
            self.slots[index] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        match self.last {
            Some(last) => self.slots[last].after = Some(index),
            None => self.first = Some(index),
        }
        self.last = Some(index);
        Place(index)
    }

    /// What the first in line wants to send, in bytes.
    pub(super) fn first_weight(&self) -> Option<usize> {
        self.first.map(|first| self.slots[first].weight)
    }

    /// Takes the first out of the line; its place stays valid until it leaves.
    pub(super) fn call_first(&mut self) -> Option<Waker> {
        let first = self.first?;
        self.unlink(first);
        match mem::replace(&mut self.slots[first].state, SlotState::Called) {
            SlotState::Waiting(waker) => Some(waker),
            SlotState::Called => None,
        }
    }

    /// Whether the sender was called; if not, it is woken through `waker` when it is.
    pub(super) fn is_called(&mut self, Place(index): Place, waker: &Waker) -> bool {
        match &mut self.slots[index].state {
            SlotState::Called => true,
            SlotState::Waiting(current) => {
                current.clone_from(waker);
                false
            }
        }
    }

    /// Gives the place up. Returns whether the sender had been called.
    pub(super) fn leave(&mut self, Place(index): Place) -> bool {
        let called = matches!(self.slots[index].state, SlotState::Called);
        if !called {
            self.unlink(index);
            self.slots[index].state = SlotState::Called;
        }
        self.unused.push(index);
        called
    }

    /// Calls everybody, because there is nothing to wait for any more.
    pub(super) fn call_all(&mut self) -> Vec<Waker> {
        std::iter::from_fn(|| self.call_first()).collect()
    }

    fn unlink(&mut self, index: usize) {
        let Slot { before, after, .. } = self.slots[index];
        match before {
            Some(before) => self.slots[before].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => self.slots[after].before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(weights: &[usize]) -> (Waiters, Vec<Place>) {
        let mut waiters = Waiters::default();
        let places = weights
            .iter()
            .map(|weight| waiters.join(Waker::noop(), *weight))
            .collect();
        (waiters, places)
    }

    fn weights_called(waiters: &mut Waiters) -> Vec<usize> {
        let mut weights = Vec::new();
        while let Some(weight) = waiters.first_weight() {
            waiters.call_first().unwrap();
            weights.push(weight);
        }
        weights
    }

    #[test]
    fn who_came_first_is_called_first() {
        let (mut waiters, _) = line(&[1, 2, 3]);
        assert_eq!(weights_called(&mut waiters), [1, 2, 3]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn whoever_leaves_closes_the_gap() {
        for (leaver, left) in [(0, [2, 3]), (1, [1, 3]), (2, [1, 2])] {
            let (mut waiters, places) = line(&[1, 2, 3]);
            assert!(!waiters.leave(places[leaver]));
            assert_eq!(weights_called(&mut waiters), left);
        }
    }

    #[test]
    fn a_place_is_used_again_after_its_sender_left() {
        let (mut waiters, places) = line(&[1, 2]);
        waiters.call_first().unwrap();
        assert!(waiters.is_called(places[0], Waker::noop()));
        assert!(!waiters.is_called(places[1], Waker::noop()));
        assert!(waiters.leave(places[0]));
        assert_eq!(waiters.join(Waker::noop(), 3), places[0]);
        assert_eq!(weights_called(&mut waiters), [2, 3]);
        assert_eq!(waiters.slots.len(), 2);
    }
}
