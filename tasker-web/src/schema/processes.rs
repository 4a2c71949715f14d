//! Processes, and the channels within this one.

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

/// A process in one of its roles, as it was last seen.
#[derive(ToSchema)]
pub(crate) struct Process {
    /// Its name in logs and in the history of tasks.
    #[schema(example = "host-17-kqxmzj")]
    identity: String,
    /// What it does: `orchestrator` or `worker`.
    #[schema(example = "worker")]
    role: String,
    /// The machine or container it runs on.
    host: String,
    /// Its process id there.
    pid: i32,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: String,
    /// Its deployment mode.
    #[schema(example = "Hybrid")]
    mode: String,
    /// The namespaces it serves; none are named where it serves all.
    namespaces: Vec<String>,
    /// The handlers that a worker knows.
    #[schema(example = json!(["builtin.noop", "payments.charge"]))]
    handlers: Vec<String>,
    /// How many handlers a worker runs at most, 0 while it drains; null for an orchestrator.
    #[schema(required)]
    places: Option<i32>,
    /// How many of them it ran when it was last seen; null for an orchestrator.
    #[schema(required)]
    taken: Option<i32>,
    /// When it started.
    started_at: DateTime<Utc>,
    /// When it last reported that it lives.
    last_seen_at: DateTime<Utc>,
    /// How long ago that was, on the database's clock.
    last_seen_seconds_ago: f64,
    /// Whether it was not seen for 30 s: it was killed, or does not reach the database.
    silent: bool,
}

/// A channel between tasks of the server's process.
#[derive(ToSchema)]
pub(crate) struct Channel {
    /// The channel's name.
    name: String,
    /// The part of the product that receives from it.
    component: String,
    /// Most messages that wait in it.
    capacity: usize,
    /// Messages waiting.
    len: usize,
    /// Most bytes that wait in it; null where only messages count.
    #[schema(required)]
    max_bytes: Option<usize>,
    /// Bytes waiting, where they count.
    bytes: usize,
    /// The nearer of both bounds, in percent of it.
    usage_percent: f64,
    /// The highest usage of late, from 0 to 1.
    saturation: f64,
    /// Most messages that ever waited.
    high_water: usize,
    /// Messages sent.
    sent_total: u64,
    /// Messages received.
    received_total: u64,
    /// Sends that found the channel full and waited.
    blocked_total: u64,
    /// Sends that found the channel full and got the message back.
    refused_total: u64,
    /// Messages that the channel's policy dropped.
    dropped_total: u64,
}
