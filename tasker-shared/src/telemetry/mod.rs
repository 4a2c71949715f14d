//! What the product reports about itself: logs to standard error, metrics to be scraped.
//!
//! Metrics are OpenTelemetry instruments that a Prometheus reader exports, and a second reader where a
//! collector is configured. Their names and labels are in one place, behind methods.

mod channels;
mod gauges;
mod instruments;
mod logging;
mod metrics;
mod otlp;
mod pipeline;
mod recent;
mod without_worker;

pub use logging::{LoggingError, init_logging};
pub use metrics::Metrics;
pub use otlp::OtlpError;
pub use pipeline::{
    MetricsError, end_metrics, init_metrics, metrics, record_waits, render_prometheus,
};
