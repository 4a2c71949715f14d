//! Wake-ups that need no message: each is remembered until its loop takes it, and any number of
//! them is one.

use std::sync::Arc;

use tokio::sync::Notify;

/// The wake-ups of the loops that look at the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakeups(Arc<Both>);

#[derive(Debug, Default)]
struct Both {
    ready_tasks: Notify,
    timers: Notify,
}

impl Wakeups {
    /// Makes the command processor look for ready tasks, though no command tells it to.
    pub(crate) fn wake_claims(&self) {
        self.0.ready_tasks.notify_one();
    }

    /// Makes the timers look at what is due.
    pub(crate) fn wake_timers(&self) {
        self.0.timers.notify_one();
    }

    /// Makes up for whatever may have been lost.
    pub(crate) fn wake_all(&self) {
        self.wake_claims();
        self.wake_timers();
    }

    /// Returns when the processor has to look.
    pub(crate) async fn ready_tasks(&self) {
        self.0.ready_tasks.notified().await;
    }

    /// Returns when the timers have to look.
    pub(crate) async fn timers(&self) {
        self.0.timers.notified().await;
    }
}
