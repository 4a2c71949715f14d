//! Writes samples to the database, in batches, whenever some time has passed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::collector::{Sample, SampledStatisticsCollector};
use crate::database::{Database, DedicatedConnection};
use crate::error::Error;
use crate::outage::Outage;
use crate::supervisor::Supervised;
use crate::telemetry::metrics;

/// Most samples of one call.
const BATCH: usize = 1000;

/// How long a call may take. Samples of one that takes longer are dropped.
const DEADLINE: Duration = Duration::from_secs(5);

/// The loop that writes what a collector keeps, on a connection of its own.
pub struct StatisticsWriter {
    collector: Arc<SampledStatisticsCollector>,
    connection: DedicatedConnection,
    outage: Outage,
    stopping: CancellationToken,
}

impl StatisticsWriter {
    /// Writes until `stopping` is cancelled, and then once more.
    pub fn new(
        collector: Arc<SampledStatisticsCollector>,
        database: &Database,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            collector,
            connection: database.dedicated().strictly_within(DEADLINE),
            outage: Outage::new(Self::NAME, "write statistics"),
            stopping,
        }
    }

    /// Writes as many samples as the buffer has places, so that it ends however many come meanwhile.
    async fn write(&mut self) {
        let mut left = self.collector.config().buffer_size;
        loop {
            let samples = self.collector.take(BATCH.min(left));
            if samples.is_empty() {
                return;
            }
            left -= samples.len();
            let taken = samples.len() as u64;
            let columns = Columns::of(samples);
            let stored = self
                .connection
                .call("record_samples", async |connection| {
                    columns.store(connection).await
                })
                .await;
            match stored {
                Ok(stored) => {
                    self.outage.over();
                    metrics().samples_written(stored);
                    metrics().samples_dropped("unknown", taken.saturating_sub(stored));
                }
                Err(error) => {
                    // When to go on is not a matter of this pause: the buffer is a matter of time.
                    self.outage.failed(&error);
                    metrics().samples_dropped("database", taken);
                    return;
                }
            }
        }
    }
}

impl Supervised for StatisticsWriter {
    const NAME: &'static str = "statistics_writer";

    async fn run(&mut self) {
        let pause = self.collector.config().flush_interval;
        let stopping = self.stopping.clone();
        while stopping.run_until_cancelled(sleep(pause)).await.is_some() {
            self.write().await;
        }
        self.write().await;
    }
}

/// Samples, as SQL takes them: an array for each parameter.
#[derive(Debug, Default)]
struct Columns {
    events: Vec<&'static str>,
    tasks: Vec<uuid::Uuid>,
    steps: Vec<Option<i32>>,
    receipts: Vec<Option<i32>>,
    classes: Vec<&'static str>,
    latencies_ms: Vec<Option<f64>>,
    weights: Vec<f64>,
    failed: Vec<bool>,
}

impl Columns {
    fn of(samples: Vec<Sample>) -> Self {
        let mut columns = Self::default();
        for Sample {
            lasted,
            class,
            weight,
        } in samples
        {
            columns.events.push(lasted.event.as_str());
            columns.tasks.push(lasted.task_uuid.0);
            columns.steps.push(lasted.step.map(|step| step.number));
            columns.receipts.push(lasted.step.map(|step| step.receipt));
            columns.classes.push(class.as_str());
            let latency = lasted.latency.map(|latency| latency.as_secs_f64() * 1000.0);
            columns.latencies_ms.push(latency);
            columns.weights.push(weight);
            columns.failed.push(lasted.failed);
        }
        columns
    }

    async fn store(&self, connection: &mut PgConnection) -> Result<u64, Error> {
        let stored: i64 =
            sqlx::query_scalar("select tasker.record_samples($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(&self.events)
                .bind(&self.tasks)
                .bind(&self.steps)
                .bind(&self.receipts)
                .bind(&self.classes)
                .bind(&self.latencies_ms)
                .bind(&self.weights)
                .bind(&self.failed)
                .fetch_one(connection)
                .await?;
        Ok(stored.unsigned_abs())
    }
}
