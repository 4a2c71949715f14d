//! What is behind a channel's lock: messages, those who wait, and what is known about them.
//!
//! Everything that changes together is under one lock, which is why usage is exact at every moment
//! and the oldest message can make room for the newest. Nothing of a message's own runs under it:
//! messages are weighed before and dropped after, and wakers are called after.

use std::{collections::VecDeque, task::Waker, time::Duration};

use super::{
    counters::Counters,
    saturation::{Level, Notice, Saturation},
    spec::Bounds,
    waiters::{Place, Waiters},
};

pub(super) struct State<T> {
    pub(super) bounds: Bounds,
    queue: VecDeque<Waiting<T>>,
    bytes: usize,
    /// Room kept for senders that were called and have not come yet.
    kept: Level,
    waiters: Waiters,
    receiver: Option<Waker>,
    pub(super) senders: usize,
    is_closed: bool,
    pub(super) high_water: usize,
    pub(super) counters: Counters,
    pub(super) saturation: Saturation,
}

/// A message in the queue.
struct Waiting<T> {
    message: T,
    weight: usize,
}

/// What to do when the lock is free again.
#[must_use]
#[derive(Default)]
pub(super) struct Aftermath {
    pub(super) receiver: Option<Waker>,
    pub(super) notice: Option<Notice>,
}

impl<T> State<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            queue: VecDeque::new(),
            bytes: 0,
            kept: Level::default(),
            waiters: Waiters::default(),
            receiver: None,
            senders: 1,
            is_closed: false,
            high_water: 0,
            counters: Counters::default(),
            saturation: Saturation::new(bounds),
        }
    }

    pub(super) fn level(&self) -> Level {
        Level {
            len: self.queue.len(),
            bytes: self.bytes,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes the message in if there is room and nobody waits in line for it; else gives it back.
    pub(super) fn offer(&mut self, message: T, weight: usize) -> Result<Aftermath, T> {
        if self.is_full() || !self.has_room_for(weight) {
            return Err(message);
        }
        Ok(self.push(message, weight))
    }

    /// Takes the message in; what was waiting longest makes room where there is none.
    pub(super) fn displace(
        &mut self,
        message: T,
        weight: usize,
        displaced: &mut Vec<T>,
    ) -> Aftermath {
        while !self.has_room_for(weight) {
            let Some(oldest) = self.take_first() else {
                break;
            };
            self.counters.dropped += 1;
            displaced.push(oldest);
        }
        self.push(message, weight)
    }

    /// Whether a sender waits for room: then the channel is full, though something lighter than what
    /// the sender brings might fit.
    pub(super) fn is_full(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Puts a sender in line.
    pub(super) fn wait(&mut self, weight: usize, waker: &Waker) -> (Place, Option<Notice>) {
        self.counters.blocked += 1;
        let notice = self.saturation.filled(self.level());
        (self.waiters.join(waker, weight), notice)
    }

    /// Whether it is the sender's turn: then the room kept for it is its own to fill with `push`,
    /// and its place is given up.
    pub(super) fn is_called(&mut self, place: Place, weight: usize, waker: &Waker) -> bool {
        if !self.waiters.is_called(place, waker) {
            return false;
        }
        self.waiters.leave(place);
        self.give_back(weight);
        true
    }

    /// Takes a sender out of the line; the room kept for it goes to those behind it.
    pub(super) fn leave(&mut self, place: Place, weight: usize, called: &mut Vec<Waker>) {
        if self.waiters.leave(place) {
            self.give_back(weight);
        }
        // The one that is first now may want less room than the one that left.
        self.call(called);
    }

    pub(super) fn waited(&mut self, time: Duration) {
        self.counters.waits.add(time);
    }

    /// Takes the message in. There must be room.
    pub(super) fn push(&mut self, message: T, weight: usize) -> Aftermath {
        self.queue.push_back(Waiting { message, weight });
        self.bytes += weight;
        self.counters.sent += 1;
        let level = self.level();
        self.high_water = self.high_water.max(level.len);
        Aftermath {
            receiver: self.receiver.take(),
            notice: self.saturation.rose(level),
        }
    }

    /// Gives the oldest message to the receiver, and calls the senders that there is room for now.
    pub(super) fn pop(&mut self, called: &mut Vec<Waker>) -> Option<(T, Option<Notice>)> {
        let message = self.take_first()?;
        self.counters.received += 1;
        self.call(called);
        Some((message, self.fell()))
    }

    /// Gives up to `limit` messages to the receiver.
    pub(super) fn pop_many(
        &mut self,
        messages: &mut Vec<T>,
        limit: usize,
        called: &mut Vec<Waker>,
    ) -> (usize, Option<Notice>) {
        let count = limit.min(self.queue.len());
        for Waiting { message, weight } in self.queue.drain(..count) {
            self.bytes -= weight;
            messages.push(message);
        }
        if count == 0 {
            return (0, None);
        }
        self.counters.received += count as u64;
        self.call(called);
        (count, self.fell())
    }

    /// Wakes the receiver through `waker` when there is something for it.
    pub(super) fn receive_later(&mut self, waker: &Waker) {
        match &mut self.receiver {
            Some(current) => current.clone_from(waker),
            None => self.receiver = Some(waker.clone()),
        }
    }

    /// Takes one sender off; the receiver learns that the last one is gone.
    pub(super) fn remove_sender(&mut self) -> Option<Waker> {
        self.senders -= 1;
        self.receiver.take_if(|_| self.senders == 0)
    }

    /// Refuses all from here on, and gives out what nobody will receive and who waits in vain.
    pub(super) fn close(&mut self) -> (Vec<T>, Vec<Waker>) {
        self.is_closed = true;
        self.bytes = 0;
        let left = self.queue.drain(..).map(|waiting| waiting.message);
        (left.collect(), self.waiters.call_all())
    }

    /// A message heavier than the byte bound is let in when it is alone.
    fn has_room_for(&self, weight: usize) -> bool {
        let taken = self.queue.len() + self.kept.len;
        let bytes = self.bytes.saturating_add(self.kept.bytes);
        taken < self.bounds.messages
            && (taken == 0 || bytes.saturating_add(weight) <= self.bounds.bytes)
    }

    fn fell(&mut self) -> Option<Notice> {
        if self.is_full() {
            return None;
        }
        self.saturation.fell(self.level())
    }

    fn take_first(&mut self) -> Option<T> {
        let Waiting { message, weight } = self.queue.pop_front()?;
        self.bytes -= weight;
        Some(message)
    }

    /// Calls senders, first come first served, as far as there is room for what they bring.
    fn call(&mut self, called: &mut Vec<Waker>) {
        while let Some(weight) = self.waiters.first_weight() {
            if !self.has_room_for(weight) {
                return;
            }
            self.kept.len += 1;
            self.kept.bytes += weight;
            called.extend(self.waiters.call_first());
        }
    }

    fn give_back(&mut self, weight: usize) {
        // Senders are also called when the channel closes, without room.
        self.kept.len = self.kept.len.saturating_sub(1);
        self.kept.bytes = self.kept.bytes.saturating_sub(weight);
    }
}
