//! What the product tells about itself: logs to standard error, metrics to whoever scrapes them.
//!
//! Metrics are OpenTelemetry instruments that a Prometheus reader exports; a second reader can be
//! added where the provider is built. Their names and labels are in one place, behind methods.

mod channels;
mod instruments;
mod logging;
mod metrics;
mod prometheus;

pub use logging::{LoggingError, init_logging};
pub use metrics::Metrics;
pub use prometheus::{metrics, render_prometheus};
