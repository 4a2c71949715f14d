//! Reads what the database holds, for the gauges that show it, and counts processes that are lost.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::error::Error;
use tasker_shared::gauges::{SilentProcess, database_gauges};
use tasker_shared::outage::Outage;
use tasker_shared::processes::{Role, steps_without_worker};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::Engine;

/// Shortest time between two reads; metrics are rarely scraped more often.
const INTERVAL: Duration = Duration::from_secs(15);

/// Reads the backlogs of all namespaces, because those that no orchestrator serves are worth an alert;
/// and for steps without a worker in those that this one serves, in all where none is named.
pub(crate) struct Gauges {
    namespaces: Vec<String>,
    silent: Silent,
    engine: Engine,
    outage: Outage,
    stop: CancellationToken,
}

impl Gauges {
    pub(crate) fn new(namespaces: Vec<String>, engine: &Engine, stop: CancellationToken) -> Self {
        Self {
            namespaces,
            silent: Silent::default(),
            engine: engine.clone(),
            // The orchestrator does its work without gauges.
            outage: Outage::new(Self::NAME, "look at what the gauges show"),
            stop,
        }
    }
}

impl Supervised for Gauges {
    const NAME: &'static str = "gauges";

    async fn run(&mut self) {
        let Self {
            namespaces,
            silent,
            engine,
            outage,
            stop,
        } = self;
        let look = || async {
            look(engine, namespaces, silent).await?;
            Ok(INTERVAL + jittered(INTERVAL) / 10)
        };
        // Workers that are started together with this process have time to register.
        outage.look_after(jittered(INTERVAL), look, stop).await;
    }
}

async fn look(engine: &Engine, namespaces: &[String], silent: &Silent) -> Result<(), Error> {
    let looked = engine.database.call("gauges", async |connection| {
        let gauges = database_gauges(connection).await?;
        let without_worker = steps_without_worker(connection, namespaces).await?;
        Ok((gauges, without_worker))
    });
    let (gauges, without_worker) = looked.await?;
    for (role, lost) in silent.update(&gauges.silent) {
        metrics().processes_lost(role, lost);
    }
    metrics().database_gauges(gauges);
    metrics().steps_without_worker(&without_worker);
    Ok(())
}

/// The processes that were silent at the last read.
#[derive(Default)]
struct Silent(Mutex<HashSet<Uuid>>);

impl Silent {
    /// Takes note of those that are silent; returns how many of each role were not at the last read.
    fn update(&self, silent: &[SilentProcess]) -> [(&'static str, u64); 2] {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = [Role::Orchestrator, Role::Worker].map(|role| {
            let role = role.as_str();
            let of_role = silent.iter().filter(|process| process.role == role);
            let new = of_role.filter(|process| !known.contains(&process.registration_uuid));
            (role, new.count() as u64)
        });
        *known = silent.iter().map(|it| it.registration_uuid).collect();
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(role: Role) -> SilentProcess {
        SilentProcess {
            registration_uuid: Uuid::now_v7(),
            role: role.as_str().to_owned(),
        }
    }

    #[test]
    fn a_process_that_falls_silent_is_lost_once() {
        let silent = Silent::default();
        let both = [process(Role::Worker), process(Role::Worker)];

        assert_eq!(silent.update(&[]), [("orchestrator", 0), ("worker", 0)]);
        assert_eq!(silent.update(&both[..1])[1].1, 1);
        assert_eq!(silent.update(&both)[1].1, 1);
        assert_eq!(silent.update(&both[1..])[1].1, 0);
        silent.update(&[]);
        assert_eq!(silent.update(&both[..1])[1].1, 1, "it came back in between");
    }
}
