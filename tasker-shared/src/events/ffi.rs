//! The queue of events for another language in the process.

use crate::{
    channel::{self, ChannelSpec, NotSent, Receiver, Sender, Weighed},
    config::SharedFfiConfig,
};

/// The sending end. It never waits: code that may hold an interpreter's lock must not stand still
/// until that same interpreter makes room.
#[derive(Debug)]
pub struct FfiSender<T>(Sender<T>);

/// The queue of events for Ruby, bounded by count and by bytes.
pub fn ffi_queue<T: Weighed + Send + 'static>(
    config: &SharedFfiConfig,
) -> (FfiSender<T>, Receiver<T>) {
    let spec = ChannelSpec {
        name: "ruby_events",
        component: "ffi",
        capacity: config.ruby_event_buffer_size,
    };
    let (sender, receiver) = channel::bounded_by_bytes(spec, config.ruby_event_buffer_bytes);
    (FfiSender(sender), receiver)
}

impl<T> FfiSender<T> {
    /// Queues the event, or hands it back: as [`NotSent::Full`] where the other language does not
    /// keep up, as [`NotSent::Closed`] where it has stopped.
    pub fn send(&self, event: T) -> Result<(), NotSent<T>> {
        self.0.try_send(event)
    }
}

impl<T> Clone for FfiSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
