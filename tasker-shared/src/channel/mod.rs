//! The one place that makes channels between the tasks of a process.
//!
//! Every channel has a bound that comes from configuration, and a monitor that metrics and health
//! checks read. Its type says whether messages may be lost. A [`Sender`] loses none: `send` waits,
//! `try_send`, `send_timeout` and `send_retry` hand the message back. A [`LossySender`] has a policy,
//! and a [`BroadcastSender`] goes on without subscribers that are too slow.

mod broadcast;
mod counters;
mod errors;
mod lossy;
mod monitor;
pub(crate) mod policy;
mod receiver;
pub mod registry;
pub mod sampler;
mod saturation;
mod sender;
mod shared;
mod spec;
mod state;
mod waiters;
mod weight;

use std::sync::Arc;

pub use broadcast::{BroadcastReceiver, BroadcastSender, NotReceived, broadcast};
pub use counters::{Counters, Failures, WAIT_BOUNDS_SECONDS, Waits};
pub use errors::{Closed, NotSent};
pub use lossy::{Admission, LossySender};
pub use monitor::{ChannelMonitor, ChannelStatus};
pub use receiver::Receiver;
pub use registry::ChannelHealthStatus;
pub use saturation::configure;
pub(crate) use saturation::have_metrics;
pub use sender::{SendRetry, Sender};
pub use spec::ChannelSpec;
pub use weight::Weighed;

use crate::config::DropPolicy;
use shared::Shared;
use spec::Bounds;

/// A lossless channel that holds at most `spec.capacity` messages.
pub fn bounded<T: Send + 'static>(spec: ChannelSpec) -> (Sender<T>, Receiver<T>) {
    ends(Shared::new(spec, Bounds::of_count(spec), |_| 0))
}

/// A lossless channel that holds at most `spec.capacity` messages and at most `max_bytes`, from
/// configuration as well, except that a message heavier than that passes alone.
pub fn bounded_by_bytes<T: Weighed + Send + 'static>(
    spec: ChannelSpec,
    max_bytes: usize,
) -> (Sender<T>, Receiver<T>) {
    let bounds = Bounds::of_count(spec).with_bytes(max_bytes);
    ends(Shared::new(spec, bounds, T::weight))
}

/// A channel that holds at most `spec.capacity` messages and treats what finds it full as `policy`
/// says.
pub fn lossy<T: Send + 'static>(
    spec: ChannelSpec,
    policy: DropPolicy,
) -> (LossySender<T>, Receiver<T>) {
    let (sender, receiver) = bounded(spec);
    (LossySender::new(sender, policy), receiver)
}

fn ends<T>(shared: Arc<Shared<T>>) -> (Sender<T>, Receiver<T>) {
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver::new(shared))
}

#[cfg(test)]
mod tests;
