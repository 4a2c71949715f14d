//! Watches for steps that no live worker can run, for the metric that shows them.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::outage::Outage;
use tasker_shared::processes::steps_without_worker;
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// Shortest time between two looks; processes report as often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the queues of these namespaces, of all where none is named.
pub(crate) struct WithoutWorker {
    namespaces: Vec<String>,
    engine: Engine,
    outage: Outage,
    stop: CancellationToken,
}

impl WithoutWorker {
    pub(crate) fn new(namespaces: Vec<String>, engine: &Engine, stop: CancellationToken) -> Self {
        Self {
            namespaces,
            outage: engine
                .outages
                .outage(Self::NAME, "look for steps without a worker"),
            engine: engine.clone(),
            stop,
        }
    }
}

impl Supervised for WithoutWorker {
    const NAME: &'static str = "without_worker";

    async fn run(&mut self) {
        let Self {
            namespaces,
            engine,
            outage,
            stop,
        } = self;
        let look = || async {
            let found = engine
                .database
                .call("steps_without_worker", async |connection| {
                    steps_without_worker(connection, namespaces).await
                });
            metrics().steps_without_worker(&found.await?);
            Ok(INTERVAL + jittered(INTERVAL) / 10)
        };
        // Workers that are started together with this process have time to register.
        outage.look_after(jittered(INTERVAL), look, stop).await;
    }
}
