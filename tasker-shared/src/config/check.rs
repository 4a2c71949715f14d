//! Checks of single values that garde does not have.

use crate::config::telemetry;
use crate::template::is_namespace;

/// A number of seconds between the two, refused when it is no number at all.
pub(super) fn seconds(min: f64, max: f64) -> impl Fn(&f64, &()) -> garde::Result {
    move |value, ()| {
        if (min..=max).contains(value) {
            return Ok(());
        }
        Err(garde::Error::new(format!(
            "expected seconds from {min} to {max}"
        )))
    }
}

/// A part of a whole: above 0, at most 1.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes values by reference"
)]
pub(super) fn fraction(value: &f64, (): &()) -> garde::Result {
    if *value > 0.0 && *value <= 1.0 {
        return Ok(());
    }
    Err(garde::Error::new("expected a number above 0 and at most 1"))
}

/// A filter that `tracing` understands.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
pub(super) fn log_filter(filter: &str, (): &()) -> garde::Result {
    telemetry::parse_filter(filter).map(drop).map_err(|error| {
        garde::Error::new(format!("expected a level or levels per target: {error}"))
    })
}

/// Nothing, or an address that requests can be sent to.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
pub(super) fn otlp_endpoint(address: &str, (): &()) -> garde::Result {
    let is_usable = reqwest::Url::parse(address)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if address.is_empty() || is_usable {
        return Ok(());
    }
    Err(garde::Error::new(
        "expected the address of a collector, such as http://localhost:4318, or nothing",
    ))
}

/// Names that a namespace can have.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "garde passes the context by reference"
)]
pub(super) fn namespaces(names: &[String], (): &()) -> garde::Result {
    match names.iter().find(|name| !is_namespace(name)) {
        None => Ok(()),
        Some(name) => Err(garde::Error::new(format!(
            "{name:?} is not a namespace: expected a lower-case letter, then up to 28 lower-case \
             letters, digits or underscores"
        ))),
    }
}
