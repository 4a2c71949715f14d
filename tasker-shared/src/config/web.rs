//! The HTTP API's part of the configuration.

use std::{net::SocketAddr, time::Duration};

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Address and port to listen on.
    #[garde(skip)]
    #[serde(deserialize_with = "socket_address")]
    pub bind: SocketAddr,
    /// Largest request body.
    #[garde(range(min = 1024, max = 1_073_741_824))]
    pub max_request_bytes: usize,
    /// Most bytes that the bodies of all requests in progress have together.
    #[garde(range(min = 1024, max = 1_099_511_627_776))]
    pub max_request_bytes_in_flight: usize,
    /// Most tasks in one batch submission.
    #[garde(range(min = 1, max = 1_000_000))]
    pub max_batch_tasks: usize,
    /// Longest wait for the end of a task.
    #[garde(range(min = 1, max = 3_600_000))]
    pub max_wait_ms: u64,
    /// Most requests handled at the same time.
    #[garde(range(min = 1, max = 100_000))]
    pub max_concurrent_requests: usize,
    /// Longest a request may take, time spent waiting for a task not counted.
    #[garde(range(min = 1, max = 3_600_000))]
    pub request_timeout_ms: u64,
    /// Entries on a page when the request does not say.
    #[garde(range(min = 1, max = 100_000))]
    pub default_page_size: i32,
    /// Most entries on a page.
    #[garde(range(min = 1, max = 100_000))]
    pub max_page_size: i32,
    /// Most subscribers to events at the same time.
    #[garde(range(min = 1, max = 100_000))]
    pub max_event_subscribers: usize,
}

impl WebConfig {
    /// Longest wait for the end of a task.
    pub fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// Longest a request may take, time spent waiting for a task not counted.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address with a port: expected one such as 127.0.0.1:8080"
        ))
    })
}
