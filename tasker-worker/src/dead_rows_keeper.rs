//! Looks for dead rows where this worker puts steps into queues: orchestrators look after so many
//! claims, and what is enqueued here is not claimed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tasker_shared::database::Database;
use tasker_shared::dead_rows::{DeadRows, STEPS_BETWEEN_LOOKS};
use tasker_shared::supervisor::Supervised;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Counts what the worker put into queues since it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Enqueued {
    steps: AtomicU64,
    many: Notify,
}

impl Enqueued {
    pub(crate) fn add(&self, steps: u64) {
        let before = self.steps.fetch_add(steps, Ordering::Relaxed);
        if before < STEPS_BETWEEN_LOOKS && before + steps >= STEPS_BETWEEN_LOOKS {
            self.many.notify_one();
        }
    }
}

/// The loop that looks. It connects for each look, of which there are few.
pub(crate) struct DeadRowsKeeper {
    database: Database,
    enqueued: Arc<Enqueued>,
    dead_rows: DeadRows,
    stop: CancellationToken,
}

impl DeadRowsKeeper {
    pub(crate) fn new(
        database: &Database,
        enqueued: Arc<Enqueued>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            database: database.clone(),
            enqueued,
            dead_rows: DeadRows::new(),
            stop,
        }
    }
}

impl Supervised for DeadRowsKeeper {
    const NAME: &'static str = "worker_dead_rows_keeper";

    async fn run(&mut self) {
        let Self {
            database,
            enqueued,
            dead_rows,
            stop,
        } = self;
        let look = async {
            loop {
                enqueued.many.notified().await;
                dead_rows.enqueued(enqueued.steps.swap(0, Ordering::Relaxed));
                if dead_rows.look_is_due() {
                    dead_rows.look(&mut database.dedicated()).await;
                }
            }
        };
        stop.run_until_cancelled(look).await;
    }
}
