//! Watches for steps that no live worker can run, for the metric that shows them.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::outage::Outage;
use tasker_shared::processes::steps_without_worker;
use tasker_shared::telemetry::metrics;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// Shortest time between two looks; processes report as often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the queues of these namespaces, of all where none is named, until `stop`.
pub(crate) async fn run(namespaces: Vec<String>, engine: Engine, stop: CancellationToken) {
    let mut outage = Outage::new(
        "look for steps without a worker",
        engine.backoff,
        engine.vitals.outage_of("without_worker"),
    );
    // Workers that are started together with this process have time to register.
    let (mut pause, mut reason) = (jittered(INTERVAL), "interval");
    loop {
        tokio::select! {
            () = sleep(pause) => metrics().woke("without_worker", reason),
            () = stop.cancelled() => return,
        }
        let look = engine
            .database
            .call("steps_without_worker", async |connection| {
                steps_without_worker(connection, &namespaces).await
            });
        let found = tokio::select! {
            found = look => found,
            () = stop.cancelled() => return,
        };
        (pause, reason) = match found {
            Ok(steps) => {
                outage.over();
                metrics().steps_without_worker(&steps);
                (INTERVAL + jittered(INTERVAL) / 10, "interval")
            }
            Err(error) => (outage.failed(&error), "retry"),
        };
    }
}
