//! Whether workers go on with dependents of what they complete, or enqueue them, said once for a whole
//! test run.
//!
//! What workflows come to must not depend on it, so their tests run both ways: as configured by
//! default, and with the variables set so that orchestrators claim each step. A test of one way says
//! which, and then this counts for nothing.

use std::env;

use tasker_shared::config::WorkerConfig;

/// How many steps may follow one another. Processes of the built binary read the variables themselves.
pub const CONTINUATION_LIMIT: &str = "TASKER__WORKER__CONTINUATION_LIMIT";

/// Whether what an outcome makes ready is enqueued with it.
pub(crate) const ENQUEUE_DEPENDENTS: &str = "TASKER__WORKER__ENQUEUE_DEPENDENTS";

/// What workers are told by their environment so that every step goes through an orchestrator.
pub const THROUGH_ORCHESTRATORS: [(&str, &str); 2] =
    [(CONTINUATION_LIMIT, "0"), (ENQUEUE_DEPENDENTS, "false")];

/// Sets what the variables say, where they are set, for a worker that a test starts in its own process.
pub fn as_the_tests_are_run(config: &mut WorkerConfig) {
    if let Ok(limit) = env::var(CONTINUATION_LIMIT) {
        let number = limit.parse();
        config.continuation_limit =
            number.unwrap_or_else(|error| panic!("{CONTINUATION_LIMIT}={limit}: {error}"));
    }
    if let Ok(enqueues) = env::var(ENQUEUE_DEPENDENTS) {
        let enqueues_dependents = enqueues.parse();
        config.enqueue_dependents = enqueues_dependents
            .unwrap_or_else(|error| panic!("{ENQUEUE_DEPENDENTS}={enqueues}: {error}"));
    }
}
