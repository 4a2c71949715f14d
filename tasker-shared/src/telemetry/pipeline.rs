//! The provider behind the metrics, and what reads it: the text that Prometheus scrapes, and the
//! messages to a collector.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::{
    Resource,
    metrics::{MeterProviderBuilder, SdkMeterProvider},
};
use prometheus::{Registry, TextEncoder};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, warn};

use super::{
    channels::{self, RecordedWaits},
    metrics::Metrics,
    otlp::{self, OtlpError},
};
use crate::config::{OverflowMetricsConfig, TelemetryConfig};

/// How long a process that ends waits for the collector to take the last metrics.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Nothing can be sent to the collector.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Something was measured before.
    #[error("metrics are set up already")]
    Twice,
}

/// Sends metrics to the configured collector, if there is one, each time channels are looked at, as
/// those of `role`.
///
/// To be called at most once, before anything is measured; without it metrics are only scraped.
pub fn init_metrics(
    config: &TelemetryConfig,
    role: &str,
    channels: &OverflowMetricsConfig,
) -> Result<(), MetricsError> {
    let Some(endpoint) = config.otlp_endpoint() else {
        return Ok(());
    };
    let provider = SdkMeterProvider::builder()
        .with_resource(
            Resource::builder()
                .with_service_name(format!("tasker-{role}"))
                .build(),
        )
        .with_reader(otlp::reader(endpoint, channels.saturation_check_interval)?);
    let pipeline = Pipeline::new(provider);
    PIPELINE.set(pipeline).map_err(|_| MetricsError::Twice)
}

/// Sends what was measured last, where metrics are sent. Blocks; to be called when a process ends,
/// outside of its runtime.
pub fn end_metrics() {
    let Some(pipeline) = PIPELINE.get() else {
        return;
    };
    if let Err(error) = pipeline.provider.shutdown_with_timeout(LAST_EXPORT_TIMEOUT) {
        warn!(%error, "the last metrics were not sent");
    }
}

/// Has waits of blocked sends recorded each time channels are looked at, so that a scrape that comes
/// late has little to catch up with, until it is aborted.
pub async fn record_waits(channels: OverflowMetricsConfig) {
    let mut ticks = interval(channels.saturation_check_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = spawn_blocking(|| pipeline().waits.record()).await {
            warn!(%error, "could not record the waits of blocked sends");
        }
    }
}

/// The metrics of the process.
pub fn metrics() -> &'static Metrics {
    &pipeline().metrics
}

/// All metrics in Prometheus' text format.
pub fn render_prometheus() -> String {
    pipeline().render()
}

fn pipeline() -> &'static Pipeline {
    PIPELINE.get_or_init(|| Pipeline::new(SdkMeterProvider::builder()))
}

/// Instruments, and the readers that export what they record.
struct Pipeline {
    metrics: Metrics,
    waits: Arc<RecordedWaits>,
    registry: Registry,
    /// Dropping it would end the export.
    provider: SdkMeterProvider,
}

impl Pipeline {
    /// A pipeline with a Prometheus reader beside those that `provider` has.
    fn new(provider: MeterProviderBuilder) -> Self {
        let registry = Registry::new();
        // Names are written in full, suffixes and units included.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_counter_suffixes()
            .without_units()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .expect("a new registry has no collector of the same name");
        let provider = provider.with_view(channels::view);
        let provider = provider.with_reader(exporter).build();
        let meter = provider.meter("tasker");
        Self {
            metrics: Metrics::new(&meter),
            waits: channels::observe(&meter),
            registry,
            provider,
        }
    }

    fn render(&self) -> String {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => text,
            Err(error) => {
                error!(%error, "could not write metrics as text");
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests;
