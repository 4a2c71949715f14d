//! Whatever senders and the receiver do, in whatever order: nothing is lost, nobody is forgotten.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use futures::future::BoxFuture;
use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 3;
const MAX_BYTES: usize = 10;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// A sender comes with so many bytes and is polled.
    Send(usize),
    /// A sender that does not wait comes.
    TrySend(usize),
    /// A waiting sender is polled, called or not.
    Poll(usize),
    /// A waiting sender gives up.
    GiveUp(usize),
    /// The receiver takes up to so many.
    Receive(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..14_usize).prop_map(Act::Send),
        2 => (0..14_usize).prop_map(Act::TrySend),
        2 => any::<usize>().prop_map(Act::Poll),
        2 => any::<usize>().prop_map(Act::GiveUp),
        3 => (1..4_usize).prop_map(Act::Receive),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    number: usize,
    bytes: usize,
}

impl Weighed for Load {
    fn weight(&self) -> usize {
        self.bytes
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A send that waits, with what tells that it was called.
struct Sending {
    number: usize,
    future: BoxFuture<'static, Result<(), Closed<Load>>>,
    flag: Arc<Flag>,
}

impl Sending {
    /// Whether it got in.
    fn poll(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.flag));
        let future = Pin::new(&mut self.future);
        match future.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => {
                result.unwrap();
                true
            }
            Poll::Pending => false,
        }
    }
}

struct World {
    sender: Sender<Load>,
    receiver: Receiver<Load>,
    line: Vec<Sending>,
    /// What got in, in that order, and what came out.
    entered: Vec<usize>,
    received: Vec<usize>,
    next: usize,
}

impl World {
    fn new() -> Self {
        let (sender, receiver) = bounded_by_bytes(spec("model", CAPACITY), MAX_BYTES);
        Self {
            sender,
            receiver,
            line: Vec::new(),
            entered: Vec::new(),
            received: Vec::new(),
            next: 0,
        }
    }

    fn load(&mut self, bytes: usize) -> Load {
        self.next += 1;
        Load {
            number: self.next,
            bytes,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Send(bytes) => {
                let load = self.load(bytes);
                let sender = self.sender.clone();
                let mut sending = Sending {
                    number: load.number,
                    future: async move { sender.send(load).await }.boxed(),
                    flag: Arc::default(),
                };
                if sending.poll() {
                    self.entered.push(load.number);
                } else {
                    self.line.push(sending);
                }
            }
            Act::TrySend(bytes) => {
                let load = self.load(bytes);
                if self.sender.try_send(load).is_ok() {
                    self.entered.push(load.number);
                }
            }
            Act::Poll(which) if !self.line.is_empty() => {
                let at = which % self.line.len();
                if self.line[at].poll() {
                    self.entered.push(self.line.remove(at).number);
                }
            }
            Act::GiveUp(which) if !self.line.is_empty() => {
                drop(self.line.remove(which % self.line.len()));
            }
            Act::Receive(limit) => self.receive(limit),
            Act::Poll(_) | Act::GiveUp(_) => {}
        }
    }

    fn receive(&mut self, limit: usize) {
        let mut batch = Vec::new();
        let _ = self.receiver.recv_many(&mut batch, limit).now_or_never();
        self.received.extend(batch.iter().map(|load| load.number));
    }

    fn is_within_bounds(&self) -> bool {
        let status = self.sender.monitor().status();
        status.len == self.entered.len() - self.received.len()
            && status.len <= CAPACITY
            && (status.bytes <= MAX_BYTES || status.len == 1)
    }

    /// Lets everybody go on who was called, until nobody is; returns whether all got through.
    fn settle(&mut self) -> bool {
        loop {
            let called = self
                .line
                .iter()
                .position(|sending| sending.flag.0.swap(false, Ordering::Relaxed));
            if let Some(at) = called {
                if self.line[at].poll() {
                    self.entered.push(self.line.remove(at).number);
                }
            } else if self.receiver.is_empty() {
                return self.line.is_empty() && self.received == self.entered;
            } else {
                self.receive(1);
            }
        }
    }
}

proptest! {
    #[test]
    fn who_waits_is_called_when_there_is_room_and_all_arrive_in_order(
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            prop_assert!(world.is_within_bounds(), "after {act:?}");
        }
        prop_assert!(world.settle(), "{} wait for ever", world.line.len());
        let status = world.sender.monitor().status();
        prop_assert_eq!((status.len, status.bytes), (0, 0));
    }
}
