//! The HTTP API's part of the configuration.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::check::{self, Millis};

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Address and port to listen on.
    #[serde(deserialize_with = "socket_address")]
    pub bind: SocketAddr,
    /// Largest request body.
    #[serde(deserialize_with = "check::within::<_, _, 1024, 1_073_741_824>")]
    pub max_request_bytes: usize,
    /// Most bytes that the bodies of all requests in progress have together.
    #[serde(deserialize_with = "check::within::<_, _, 1024, 1_099_511_627_776>")]
    pub max_request_bytes_in_flight: usize,
    /// Most tasks in one batch submission.
    #[serde(deserialize_with = "check::within::<_, _, 1, 1_000_000>")]
    pub max_batch_tasks: usize,
    /// Longest wait for the end of a task.
    #[serde(rename = "max_wait_ms", with = "Millis::<1, 3_600_000>")]
    pub max_wait: Duration,
    /// Most requests handled at the same time.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub max_concurrent_requests: usize,
    /// Longest a request may take, time spent waiting for a task not counted.
    #[serde(rename = "request_timeout_ms", with = "Millis::<1, 3_600_000>")]
    pub request_timeout: Duration,
    /// Entries on a page when the request does not say.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub default_page_size: i32,
    /// Most entries on a page.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub max_page_size: i32,
    /// Most subscribers to events at the same time.
    #[serde(deserialize_with = "check::within::<_, _, 1, 100_000>")]
    pub max_event_subscribers: usize,
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address with a port: expected one such as 127.0.0.1:8080"
        ))
    })
}
