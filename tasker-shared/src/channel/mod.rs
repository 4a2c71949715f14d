//! The one place that makes channels between the tasks of a process.
//!
//! Every channel has a bound that comes from configuration, and a monitor that metrics and health
//! checks read. What happens when it is full is visible at the call: `send` waits, `try_send` and
//! `send_timeout` hand the message back.

mod monitor;
mod queue;
pub mod registry;

pub use monitor::{ChannelMonitor, ChannelStatus, FullAction, configure};
pub use queue::{ChannelSpec, Closed, NotSent, Receiver, Sender, bounded};
pub use registry::ChannelHealthStatus;

#[cfg(test)]
mod tests;
