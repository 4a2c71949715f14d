//! Queues, and the handlers that are missed in them.

use utoipa::ToSchema;

/// A namespace's queue and what lies in it.
#[derive(ToSchema)]
pub(crate) struct Queue {
    /// The namespace.
    #[schema(example = "fulfillment")]
    namespace: String,
    /// Name of its queue.
    #[schema(example = "worker_fulfillment_queue")]
    queue_name: String,
    /// Messages in it, received ones included; null where it cannot be read.
    #[schema(required)]
    length: Option<i64>,
    /// Messages that a worker could receive now; null where it cannot be read.
    #[schema(required)]
    visible: Option<i64>,
    /// Age of the oldest message, in seconds; null when it is empty.
    #[schema(required)]
    oldest_message_age_seconds: Option<f64>,
    /// Live workers that take steps from it.
    workers: i32,
    /// How many steps these run at most, those of other namespaces included.
    places: i32,
    /// How many they ran when they were last seen.
    taken: i32,
    /// The steps in it that no live worker can run, by handler; a hundred handlers at most.
    without_worker: Vec<MissingHandler>,
    /// Why it cannot be read; null where it can.
    #[schema(required)]
    problem: Option<String>,
}

/// A handler that steps wait for and that no live worker knows.
#[derive(ToSchema)]
pub(crate) struct MissingHandler {
    /// Its name.
    #[schema(example = "payments.charge")]
    handler: String,
    /// How many steps wait for it; counted up to 1,000.
    steps: i32,
}
