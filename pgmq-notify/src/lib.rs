//! PGMQ without its extension, and a LISTEN loop that knows when it missed something.
//!
//! PGMQ's functions are installed from the scripts that its crate carries, unless the server has
//! the extension. The listener turns one direct connection into a stream of events. Nothing here
//! knows of tasks.

pub mod backoff;
mod install;
pub mod listener;

pub use install::{InstallError, install};
pub use listener::{ListenEvent, ListenerSettings, Subscriptions};

/// The channel on which PGMQ itself announces messages in a queue; ours do the same.
pub fn insert_channel(queue_name: &str) -> String {
    format!("pgmq.q_{queue_name}.INSERT")
}

/// The queue that [`insert_channel`] names, or `None` for any other channel.
pub fn queue_of_channel(channel: &str) -> Option<&str> {
    channel.strip_prefix("pgmq.q_")?.strip_suffix(".INSERT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_and_its_channel_name_each_other() {
        assert_eq!(
            queue_of_channel(&insert_channel("worker_a_queue")),
            Some("worker_a_queue")
        );
        assert_eq!(queue_of_channel("pgmq.q_worker_a_queue.DELETE"), None);
        assert_eq!(queue_of_channel("tasker_task_ready"), None);
    }
}
