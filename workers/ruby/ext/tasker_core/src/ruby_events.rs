//! The channel of steps for Ruby: filled by the runtime, emptied by Ruby threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::Value;
use tasker_shared::channel::{NotSent, Receiver, Weighed};
use tasker_shared::config::SharedFfiConfig;
use tasker_shared::events::{FfiSender, ffi_queue};
use tasker_worker::{HandlerError, KeptPlace, Step};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// What a handler in Ruby came to.
pub(crate) type Answer = Result<Value, HandlerError>;

/// One attempt on its way to a handler in Ruby. Dropped unanswered, it is a failure of the handler.
#[derive(Debug)]
pub(crate) struct StepEvent {
    pub(crate) step: Step,
    /// Taken until Ruby is done with it, even where the runtime ended the attempt before.
    pub(crate) place: KeptPlace,
    pub(crate) deadline: SystemTime,
    /// Cancelled when the attempt is over for the runtime.
    pub(crate) over: CancellationToken,
    pub(crate) answer: oneshot::Sender<Answer>,
}

impl Weighed for StepEvent {
    fn weight(&self) -> usize {
        let results = self.step.dependencies().values().map(Weighed::weight);
        size_of::<Self>()
            + self.step.context.weight()
            + self.step.input.weight()
            + results.sum::<usize>()
    }
}

/// Why Ruby did not get an event, which comes back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDelivered {
    /// Ruby threads do not keep up.
    #[error("FFI event channel saturated - backpressure applied")]
    Saturated(Box<StepEvent>),
    /// They have stopped.
    #[error("FFI channel closed")]
    Closed,
}

/// What a Ruby thread that waited for an event gets.
pub(crate) enum Taken {
    /// A step to run.
    Event(Box<StepEvent>),
    /// Nothing: Ruby wants the thread for something else.
    Interrupted,
    /// Nothing, and there will be nothing.
    Closed,
}

/// The channel, and those who wait at its two ends.
pub(crate) struct RubyEvents {
    sender: FfiSender<StepEvent>,
    receiver: Mutex<Receiver<StepEvent>>,
    /// There may be an event, or a reason to wait no longer.
    available: Condvar,
    /// There may be room.
    room: Notify,
    saturated: AtomicBool,
    closed: AtomicBool,
}

impl RubyEvents {
    pub(crate) fn new(config: &SharedFfiConfig) -> Self {
        let (sender, receiver) = ffi_queue(config);
        Self {
            sender,
            receiver: Mutex::new(receiver),
            available: Condvar::new(),
            room: Notify::new(),
            saturated: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends the event as soon as there is room. An attempt that waits here keeps its place in the
    /// worker, which receives less meanwhile.
    pub(crate) async fn deliver(&self, event: StepEvent) -> Result<(), NotDelivered> {
        let mut event = event;
        loop {
            let room = self.room.notified();
            let mut room = std::pin::pin!(room);
            // Before the look, so that no news is missed.
            room.as_mut().enable();
            match self.send(event) {
                Err(NotDelivered::Saturated(back)) => event = *back,
                sent_or_closed => return sent_or_closed,
            }
            room.await;
        }
    }

    /// Sends the event, or hands it back.
    fn send(&self, event: StepEvent) -> Result<(), NotDelivered> {
        if self.closed.load(Ordering::Acquire) {
            return Err(NotDelivered::Closed);
        }
        match self.sender.send(event) {
            Ok(()) => {
                // Under the lock, so that a thread that has just found nothing is waiting by now.
                drop(self.lock());
                self.available.notify_one();
                if self.saturated.swap(false, Ordering::AcqRel) {
                    info!("the Ruby FFI event channel has room again");
                }
                Ok(())
            }
            Err(NotSent::Closed(_)) => Err(NotDelivered::Closed),
            Err(full) => {
                if !self.saturated.swap(true, Ordering::AcqRel) {
                    error!(
                        "Ruby FFI event channel full - Ruby handlers not keeping up! Increase \
                         buffer_size (mpsc_channels.shared.ffi) or optimize Ruby handlers"
                    );
                }
                Err(NotDelivered::Saturated(Box::new(full.into_message())))
            }
        }
    }

    /// The next event, where there is one.
    pub(crate) fn try_take(&self) -> Option<Box<StepEvent>> {
        let event = next(&mut self.lock());
        self.room.notify_waiters();
        event
    }

    /// Waits for the next event, without the interpreter's lock.
    pub(crate) fn take(&self, interrupted: &AtomicBool) -> Taken {
        let mut receiver = self.lock();
        loop {
            // An event first: its sender woke this thread alone.
            let event = next(&mut receiver);
            self.room.notify_waiters();
            if let Some(event) = event {
                return Taken::Event(event);
            }
            if self.closed.load(Ordering::Acquire) {
                return Taken::Closed;
            }
            if interrupted.load(Ordering::Acquire) {
                return Taken::Interrupted;
            }
            let waited = self.available.wait(receiver);
            receiver = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the wait of the thread whose flag this is.
    pub(crate) fn interrupt(&self, interrupted: &AtomicBool) {
        interrupted.store(true, Ordering::Release);
        drop(self.lock());
        self.available.notify_all();
    }

    /// Nothing more is sent, and no thread waits any longer.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.lock());
        self.available.notify_all();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Receiver<StepEvent>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next event whose attempt is not over; those that waited for too long are dropped.
fn next(receiver: &mut Receiver<StepEvent>) -> Option<Box<StepEvent>> {
    while let Some(event) = receiver.try_recv() {
        if !event.answer.is_closed() {
            return Some(Box::new(event));
        }
    }
    None
}
