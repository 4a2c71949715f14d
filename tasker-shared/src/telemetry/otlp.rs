//! Metrics that are sent to an OpenTelemetry collector, as protobuf over HTTP.
//!
//! The reader exports from a thread of its own, which has no runtime, so the client is a blocking
//! one; and a blocking client may not be made on a thread of the runtime.

use std::{io, thread, time::Duration};

use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, reader::MetricReader};
use reqwest::blocking::Client;
use rustls::{ClientConfig, RootCertStore};

/// How long the collector may take to accept a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where collectors expect metrics, below their address.
const PATH: &str = "/v1/metrics";

/// Why nothing can be sent to the collector.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// TLS could not be set up.
    #[error("could not set up TLS for the OpenTelemetry collector: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be made.
    #[error("could not set up HTTP for the OpenTelemetry collector: {0}")]
    Http(#[from] reqwest::Error),
    /// The thread that makes the client could not run.
    #[error("could not start a thread for the OpenTelemetry collector: {0}")]
    Thread(#[from] io::Error),
    /// The exporter refuses the address.
    #[error("could not export to the OpenTelemetry collector: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// A reader that sends all metrics to the collector at `endpoint` each `interval`.
pub(super) fn reader(
    endpoint: &str,
    interval: Duration,
) -> Result<impl MetricReader + use<>, OtlpError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(client()?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
        .with_timeout(TIMEOUT)
        .build()?;
    Ok(PeriodicReader::builder(exporter)
        .with_interval(interval)
        .build())
}

fn client() -> Result<Client, OtlpError> {
    let tls = tls()?;
    let make = move || {
        Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(TIMEOUT)
            .build()
    };
    let maker = thread::Builder::new().name("otlp-set-up".to_owned());
    let client = maker.spawn(make)?.join();
    Ok(client.map_err(|_| io::Error::other("the thread panicked"))??)
}

/// Trusts the system's certificates, for collectors inside of a company, and the public ones, for
/// containers that have none.
fn tls() -> Result<ClientConfig, OtlpError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider();
    Ok(ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
