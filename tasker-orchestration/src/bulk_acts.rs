//! Goes on with what operators do to many tasks, where the process that began it is gone.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::bulk::{abandoned_bulk_act, carry_out};
use tasker_shared::outage::Outage;
use tasker_shared::supervisor::Supervised;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// Time between two polls for an act that no process goes on with.
const INTERVAL: Duration = Duration::from_secs(30);

/// Before the first: what ended may have been this process.
const FIRST: Duration = Duration::from_secs(1);

/// The loop that goes on.
pub(crate) struct BulkActs {
    engine: Engine,
    outage: Outage,
    stop: CancellationToken,
}

impl BulkActs {
    pub(crate) fn new(engine: &Engine, stop: CancellationToken) -> Self {
        Self {
            engine: engine.clone(),
            // The orchestrator does its work without.
            outage: Outage::new(Self::NAME, "go on with what is done to many tasks"),
            stop,
        }
    }
}

impl Supervised for BulkActs {
    const NAME: &'static str = "bulk_acts";

    async fn run(&mut self) {
        let Self {
            engine,
            outage,
            stop,
        } = self;
        let look = || async {
            let database = &engine.database;
            let abandoned = database.call("abandoned_bulk_act", async |connection| {
                abandoned_bulk_act(connection).await
            });
            let Some(bulk_uuid) = abandoned.await? else {
                return Ok(jittered(INTERVAL));
            };
            carry_out(database, bulk_uuid, &Semaphore::new(1), stop, |_| ()).await?;
            Ok(Duration::ZERO)
        };
        outage.look_after(jittered(FIRST), look, stop).await;
    }
}
