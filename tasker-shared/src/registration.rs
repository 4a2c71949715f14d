//! Keeps the row up to date by which others see that a process runs.
//!
//! It is written at the start, when a worker begins to drain, and every ten seconds; and removed at
//! the end. An unreachable database means a late row and nothing else: nobody waits for this loop.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use crate::database::{Database, DedicatedConnection};
use crate::error::Error;
use crate::outage::Outage;
use crate::processes::{self, Places, Process};
use crate::telemetry::metrics;

/// Shortest time between two writes of what changes all the time; a process that missed two of them
/// is called silent by `tasker.is_live`.
const INTERVAL: Duration = Duration::from_secs(10);

/// Up to so much more is left to chance, so that a fleet does not write in step.
const JITTER: Duration = Duration::from_secs(1);

/// First pause after a failure; it doubles up to the interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long a write may take before its connection is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a process that stops waits until its row is removed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The row of one process in one of its roles.
pub struct Registration {
    uuid: Uuid,
    process: Process,
    places: Box<dyn Fn() -> Option<Places> + Send + Sync>,
    connection: DedicatedConnection,
    started: Instant,
    registered: bool,
    outage: Outage,
}

impl Registration {
    /// A row that is still to be written, with what `places` says at each write; an orchestrator has
    /// none.
    pub fn new(
        database: &Database,
        process: Process,
        places: impl Fn() -> Option<Places> + Send + Sync + 'static,
    ) -> Self {
        Self {
            uuid: Uuid::now_v7(),
            process,
            places: Box::new(places),
            connection: database.dedicated(),
            started: Instant::now(),
            registered: false,
            outage: Outage::new("registration", "tell that the process runs")
                .pausing(FIRST_PAUSE, INTERVAL),
        }
    }

    /// Keeps the row until `left`, and then removes it. When `draining` is cancelled, the places have
    /// changed.
    pub async fn keep(&mut self, draining: &CancellationToken, left: &CancellationToken) {
        let mut next = Instant::now();
        let mut drains = draining.is_cancelled();
        loop {
            let reason = tokio::select! {
                biased;
                () = left.cancelled() => break,
                () = draining.cancelled(), if !drains => {
                    drains = true;
                    "draining"
                }
                () = sleep_until(next) => "due",
            };
            metrics().woke("registration", reason);
            let written = tokio::select! {
                biased;
                () = left.cancelled() => break,
                written = self.write() => written,
            };
            self.registered |= written.is_ok();
            let next_write = written.map(|()| INTERVAL + JITTER.mul_f64(fastrand::f64()));
            next = Instant::now() + self.outage.pause_after(next_write);
        }
        self.leave().await;
    }

    async fn write(&mut self) -> Result<(), Error> {
        let (uuid, process, registered) = (self.uuid, &self.process, self.registered);
        let (places, running_for) = ((self.places)(), self.started.elapsed());
        let write = self.connection.call("register", async |connection| {
            if registered && processes::seen(connection, uuid, places).await? {
                return Ok(());
            }
            processes::register(connection, uuid, process, places, running_for).await
        });
        match timeout(WRITE_TIMEOUT, write).await {
            Ok(written) => written,
            Err(_) => Err(Error::TimedOut {
                call: "register",
                deadline: WRITE_TIMEOUT,
            }),
        }
    }

    /// Removes the row, or leaves it to others, who see that it is silent.
    async fn leave(&mut self) {
        let uuid = self.uuid;
        let remove = self.connection.call("deregister", async |connection| {
            processes::deregister(connection, uuid).await
        });
        match timeout(LEAVE_TIMEOUT, remove).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "could not tell that the process leaves"),
            Err(_) => debug!("could not tell in time that the process leaves"),
        }
    }
}
