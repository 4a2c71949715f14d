//! Wakes requests that wait for the end of a task.
//!
//! One listening connection serves all of them. A notification makes the answer prompt; a batched
//! look once a second, while requests wait, makes it certain, so that neither a lost notification
//! nor a database that cannot be listened to costs more than that second. A request that waits
//! registers *before* looking at the task, or at what is known of it without: an end between the two is
//! then not missed.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmq_notify::{ListenEvent, Subscriptions};
use serde::Deserialize;
use tasker_shared::config::{ListenerConfig, TaskerConfig, WebConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::outage::Outage;
use tasker_shared::state::TaskState;
use tasker_shared::supervisor::{Supervised, Supervisor};
use tasker_shared::tasks::ended_tasks;
use tasker_shared::telemetry::metrics;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use fresh::FreshTasks;

/// Time between two looks at the tasks that are waited for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The name of the loops in metrics.
const LOOP: &str = "task_waiter";

/// The handle through which requests wait; clones share one connection and one loop.
#[derive(Debug, Clone)]
pub(crate) struct TaskWaiter {
    interests: Arc<Interests>,
}

/// Who waits for what.
#[derive(Debug)]
struct Interests {
    waiting: Mutex<Waiting>,
    fresh: Mutex<FreshTasks>,
    max_waiters: usize,
    /// Requests that have looked and sleep.
    asleep: AtomicUsize,
    /// Notified when a request begins to wait.
    someone: Notify,
    stopped: CancellationToken,
}

#[derive(Debug, Default)]
struct Waiting {
    waiters: usize,
    tasks: HashMap<TaskUuid, Waiters>,
}

/// The requests that wait for one task.
#[derive(Debug)]
struct Waiters {
    count: usize,
    changed: watch::Sender<()>,
}

/// As many requests wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWaiters;

/// The interest of one request in one task; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Interest {
    interests: Arc<Interests>,
    task_uuid: TaskUuid,
    changed: watch::Receiver<()>,
}

/// What is read of a notification: which tasks entered which state.
#[derive(Deserialize)]
struct TasksMoved {
    task_state: TaskState,
    task_uuids: Vec<TaskUuid>,
}

impl TaskWaiter {
    /// Starts the loops; they end when `shutdown` fires, and every wait with them.
    ///
    /// Where the deployment mode is to poll only, the tasks are only looked at.
    pub(crate) fn start(
        loops: &mut Supervisor,
        database: &Database,
        config: &TaskerConfig,
        shutdown: &CancellationToken,
    ) -> Self {
        let interests = Arc::new(Interests {
            waiting: Mutex::default(),
            fresh: Mutex::default(),
            max_waiters: max_waiters(&config.web),
            asleep: AtomicUsize::new(0),
            someone: Notify::new(),
            stopped: shutdown.clone(),
        });
        loops.start(Looking {
            database: database.clone(),
            interests: Arc::clone(&interests),
            outage: Outage::new(LOOP, "look at the tasks that are waited for"),
        });
        if config.orchestration.deployment.mode.listens() {
            loops.start(Listening {
                database: database.clone(),
                config: config.event_systems.listener.clone(),
                interests: Arc::clone(&interests),
            });
        }
        Self { interests }
    }

    /// How many requests sleep until their task ends.
    pub(crate) fn asleep(&self) -> usize {
        self.interests.asleep.load(Ordering::Relaxed)
    }

    /// This process submitted the task a moment ago.
    pub(crate) fn submitted(&self, task_uuid: TaskUuid) {
        self.interests.fresh().submitted(task_uuid);
    }

    /// Whether the task is known not to have ended; where not, it takes a look.
    pub(crate) fn is_known_to_run(&self, task_uuid: TaskUuid) -> bool {
        self.interests.fresh().runs(task_uuid)
    }

    /// Registers interest in the task's end; to be called before looking at the task.
    pub(crate) fn register(&self, task_uuid: TaskUuid) -> Result<Interest, TooManyWaiters> {
        let changed = self.interests.add(task_uuid)?;
        Ok(Interest {
            interests: Arc::clone(&self.interests),
            task_uuid,
            changed,
        })
    }
}

impl Interest {
    /// Waits until it is worth looking at the task again; false when the waiter has stopped.
    pub(crate) async fn notified(&mut self) -> bool {
        let _asleep = Asleep::count(&self.interests.asleep);
        tokio::select! {
            biased;
            () = self.interests.stopped.cancelled() => false,
            // The changed is kept as long as this interest is registered.
            notified = self.changed.changed() => notified.is_ok(),
        }
    }
}

/// Counts one while it lives.
struct Asleep<'a>(&'a AtomicUsize);

impl<'a> Asleep<'a> {
    fn count(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.interests.remove(self.task_uuid);
    }
}

impl Interests {
    fn add(&self, task_uuid: TaskUuid) -> Result<watch::Receiver<()>, TooManyWaiters> {
        let mut waiting = self.lock();
        if waiting.waiters >= self.max_waiters {
            return Err(TooManyWaiters);
        }
        waiting.waiters += 1;
        let waiters = waiting.tasks.entry(task_uuid).or_insert_with(|| Waiters {
            count: 0,
            changed: watch::Sender::new(()),
        });
        waiters.count += 1;
        let changed = waiters.changed.subscribe();
        drop(waiting);
        self.someone.notify_one();
        Ok(changed)
    }

    fn remove(&self, task_uuid: TaskUuid) {
        let mut waiting = self.lock();
        waiting.waiters -= 1;
        if let Some(waiters) = waiting.tasks.get_mut(&task_uuid) {
            waiters.count -= 1;
            if waiters.count == 0 {
                waiting.tasks.remove(&task_uuid);
            }
        }
    }

    fn notify(&self, task_uuids: &[TaskUuid]) {
        let waiting = self.lock();
        for task_uuid in task_uuids {
            if let Some(waiters) = waiting.tasks.get(task_uuid) {
                waiters.changed.send_replace(());
            }
        }
    }

    fn ring_all(&self) {
        for waiters in self.lock().tasks.values() {
            waiters.changed.send_replace(());
        }
    }

    fn tasks(&self) -> Vec<TaskUuid> {
        self.lock().tasks.keys().copied().collect()
    }

    /// Returns once a request waits.
    async fn someone_waits(&self) {
        while self.lock().tasks.is_empty() {
            self.someone.notified().await;
        }
    }

    fn fresh(&self) -> MutexGuard<'_, FreshTasks> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most requests that wait for tasks at the same time: three quarters of all requests, so that
/// those who only wait never keep out those who want something done.
fn max_waiters(config: &WebConfig) -> usize {
    (config.max_concurrent_requests * 3 / 4).max(1)
}

/// Listens for the tasks that end, and wakes the requests that wait for them.
struct Listening {
    database: Database,
    config: ListenerConfig,
    interests: Arc<Interests>,
}

impl Supervised for Listening {
    const NAME: &'static str = "task_waiter_listener";

    async fn run(&mut self) {
        let interests = Arc::clone(&self.interests);
        let sink = move |event| {
            hear(&interests, event);
            ready(())
        };
        let ends = Subscriptions::new([self.database.channels().task_state.clone()]);
        let stop = self.interests.stopped.clone();
        self.database.listen(ends, &self.config, sink, stop).await;
    }
}

fn hear(interests: &Interests, event: ListenEvent) {
    match event {
        ListenEvent::Connected => {
            metrics().listener_connected(LOOP);
            // Whatever ended before was not heard.
            interests.fresh().hears();
            interests.ring_all();
        }
        ListenEvent::Notification { channel, payload } => {
            metrics().notification(&channel);
            match serde_json::from_str::<TasksMoved>(&payload) {
                Ok(moved) if moved.task_state.is_terminal() => {
                    let mut fresh = interests.fresh();
                    for task_uuid in &moved.task_uuids {
                        fresh.ended(*task_uuid);
                    }
                    drop(fresh);
                    interests.notify(&moved.task_uuids);
                }
                Ok(_) => {}
                Err(error) => {
                    metrics().notification_ignored(LOOP);
                    debug!(%error, payload, "a notification was not understood");
                }
            }
        }
    }
}

/// Looks once a second at the tasks that are waited for, while there are any.
struct Looking {
    database: Database,
    interests: Arc<Interests>,
    outage: Outage,
}

impl Supervised for Looking {
    const NAME: &'static str = LOOP;

    async fn run(&mut self) {
        let Looking {
            database,
            interests,
            outage,
        } = self;
        let looking = async {
            let mut pause = LOOK_INTERVAL;
            loop {
                interests.someone_waits().await;
                sleep(pause).await;
                let tasks = interests.tasks();
                if tasks.is_empty() {
                    continue;
                }
                metrics().woke(LOOP, "interval");
                let ended = database
                    .call("ended_tasks", async |connection| {
                        ended_tasks(connection, &tasks).await
                    })
                    .await;
                pause = outage.pause_after(ended.map(|ended| {
                    interests.notify(&ended);
                    LOOK_INTERVAL
                }));
            }
        };
        interests.stopped.run_until_cancelled(looking).await;
    }
}

mod fresh;
#[cfg(test)]
mod tests;
